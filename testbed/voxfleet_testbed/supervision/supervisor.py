"""The supervisor: a small process that starts a run's processes and removes them when its owner ends.

    python -m voxfleet_testbed.supervision.supervisor RUN_FOLDER OWNER_FD LOCK_FD

Does: starts and stops processes on request over a Unix socket; removes the run when the owner's pipe closes (the owner
returned, crashed or was killed) or on SIGTERM. After `detach` only SIGTERM ends it.
Knows: process ids. Does not know: Kubernetes. Standard library only, one thread: a child's parent-death signal is
tied to the thread that started it (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxfleet_testbed.supervision.run_folder import RUN_VARIABLE, RunFolder
from voxfleet_testbed.supervision.traces import remove_traces

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL
SIGNALS_AT_ONCE = 4096  # bytes of the wake-up socket; each signal is one byte
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Supervisor:
    """The run's processes by name, and what each request does with them."""

    run: RunFolder
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    attached: bool = True

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Process one request (start, stop, list or detach); the result has "error" when it failed."""
        match request:
            case {"start": {"name": name, "command": command, "environment": environment}}:
                return self._start(name, command, environment)
            case {"stop": name}:
                return self._stop(name)
            case {"list": _}:
                return {"processes": {name: child.poll() for name, child in self.children.items()}}
            case {"detach": _}:
                self.attached = False
                return {}
        return {"error": f"unknown request {request}"}

    def reap(self) -> None:
        """Record the exit status of children that ended, and reap orphans such as a container's shim."""
        # As a subreaper this process inherits the orphans, so it waits for any child, not only for its own.
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                for child in self.children.values():
                    if child.pid == ended[0]:
                        child.returncode = os.waitstatus_to_exitcode(ended[1])

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
        with (self.run.logs / f"{name}.log").open("ab") as log:
            try:
                self.children[name] = subprocess.Popen(
                    command,
                    env={**os.environ, **environment},
                    cwd=self.run.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a terminal's SIGINT must reach the owner only
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - one thread, so no lock can be held here
                )
            except OSError as error:
                return {"error": f"cannot start {command[0]}: {error}"}
        return {"pid": self.children[name].pid}

    def _stop(self, name: str) -> dict[str, Any]:
        child = self.children.pop(name, None)
        if child is None:
            return {"error": f"there is no process {name}; running: {', '.join(self.children)}"}
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return {"exit_status": child.returncode}


def main(arguments: list[str]) -> None:
    """Process requests until the owner ends, then remove every trace of the run."""
    run, owner, lock = RunFolder(Path(arguments[0])), int(arguments[1]), int(arguments[2])
    # A child that inherited the lock would keep the run alive, one that inherited the pipe would hide the owner's end.
    os.set_inheritable(owner, False)
    os.set_inheritable(lock, False)
    os.environ[RUN_VARIABLE] = run.run_id
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signals, notify = socket.socketpair()
    notify.setblocking(False)
    signal.set_wakeup_fd(notify.fileno())  # signals become readable bytes, so that select sees them
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _serve(Supervisor(run), owner, signals)
    finally:
        remove_traces(run)


def _serve(supervisor: Supervisor, owner: int, signals: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        _listen(listener, supervisor.run)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(owner, selectors.EVENT_READ)
        selector.register(signals, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _mask in selector.select()}
            if signals in ready:
                if signal.SIGTERM in signals.recv(SIGNALS_AT_ONCE):
                    return
                supervisor.reap()
            if listener in ready:
                _answer_one(supervisor, listener)
            if owner in ready:
                if supervisor.attached:
                    return
                selector.unregister(owner)


def _listen(listener: socket.socket, run: RunFolder) -> None:
    """Bind under a temporary name and rename once it listens: a process that finds the socket can connect."""
    unnamed = run.socket.with_suffix(".new")
    with run.socket_address(unnamed.name) as address:
        listener.bind(address)
    unnamed.chmod(0o600)  # write access is the right to start programs as this user
    listener.listen()
    unnamed.rename(run.socket)


def _answer_one(supervisor: Supervisor, listener: socket.socket) -> None:
    """Read one request, write its result; a client that disconnects early is ignored."""
    connection, _address = listener.accept()
    connection.settimeout(STOP_SECONDS)
    with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rw") as stream:
        stream.write(json.dumps(supervisor.handle(json.loads(stream.readline()))) + "\n")
        stream.flush()


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
