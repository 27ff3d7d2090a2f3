"""The supervisor's client: starts, stops and lists a run's processes.

Does: starts the supervisor, sends it requests, waits for readiness. Knows: the supervisor's requests.
Does not know: Kubernetes, or how traces are removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxfleet_testbed.errors import StartError
from voxfleet_testbed.supervision.run_folder import RUN_VARIABLE, RunFolder, create_run, is_alive
from voxfleet_testbed.supervision.traces import remove_traces, sweep

SUPERVISOR_START_SECONDS = 60.0  # of a machine that is busy with builds; idle, it is a fraction of a second
SUPERVISOR_STOP_SECONDS = 60.0  # of a cluster: every process is killed, every mount and cgroup removed
POLL_SECONDS = 0.05
LOG_LINES = 15
# Prefix of a command that this process waits for: the command is killed with this process.
KILLED_WITH_CALLER = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True, slots=True)
class Process:
    """A process to start; `environment` adds to the supervisor's."""

    name: str  # also the name of its log file
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """A running supervisor: its folder, and this process's end of the owner pipe, which closes with the process."""

    folder: RunFolder
    _owner_pipe: int | None = None

    def start(self, process: Process) -> int:
        """Start one process; returns its process id.

        Raises:
            StartError: the program cannot be started, or the supervisor has ended.
        """
        request = {"name": process.name, "command": process.command, "environment": process.environment}
        pid: int = self._ask({"start": request})["pid"]
        return pid

    def stop(self, name: str) -> None:
        """Stop one process: SIGTERM, then SIGKILL after 10 s."""
        self._ask({"stop": name})

    def processes(self) -> dict[str, int | None]:
        """Return every process's exit status, None while it runs."""
        listed: dict[str, int | None] = self._ask({"list": True})["processes"]
        return listed

    def detach(self) -> None:
        """Let the run outlive this process."""
        self._ask({"detach": True})
        self._release()

    def wait_until(self, ready: Callable[[], bool], process_name: str, timeout_seconds: float) -> None:
        """Poll `ready` until it is true.

        Args:
            ready: the condition.
            process_name: the process that makes it true.
            timeout_seconds: the deadline.

        Raises:
            StartError: the process ended, or the deadline passed; the message has the end of its log.
        """
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            exit_status = self.processes().get(process_name)
            if exit_status is not None:
                raise StartError(f"{process_name} ended with status {exit_status}:\n{self.log_end(process_name)}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{process_name} was not ready after {timeout_seconds:.0f} s:\n{self.log_end(process_name)}"
                )
            time.sleep(POLL_SECONDS)

    def log_end(self, process_name: str) -> str:
        """Return the last lines of a process's log."""
        log = self.folder.logs / f"{process_name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-LOG_LINES:])

    def close(self) -> None:
        """Stop all processes and remove the run; returns when both are done."""
        if is_alive(self.folder):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(int((self.folder.path / "supervisor.pid").read_text()), signal.SIGTERM)
        self._release()
        deadline = time.monotonic() + SUPERVISOR_STOP_SECONDS
        while is_alive(self.folder) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        remove_traces(self.folder)  # nothing to do, unless the supervisor was killed before it finished

    def _release(self) -> None:
        if self._owner_pipe is not None:
            os.close(self._owner_pipe)
            self._owner_pipe = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SUPERVISOR_STOP_SECONDS)
            try:
                with self.folder.socket_address() as address:
                    connection.connect(address)
            except OSError as error:
                raise StartError(f"the testbed in {self.folder.path} is gone ({error})") from error
            with connection.makefile("rw") as stream:
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
        if "error" in answer:
            raise StartError(answer["error"])
        return answer


def begin_run(runs: Path) -> Run:
    """Remove stale runs, make a new run folder, start its supervisor.

    Raises:
        StartError: the supervisor did not start.
    """
    sweep(runs)
    folder, lock = create_run(runs)
    reading, writing = os.pipe()
    try:
        _launch_supervisor(folder, reading, lock)
    finally:
        # The supervisor holds copies; were the lock's still open here, this process would keep the run alive.
        os.close(reading)
        os.close(lock)
    run = Run(folder, writing)
    _wait_for_supervisor(run)
    return run


def _launch_supervisor(folder: RunFolder, owner_pipe: int, lock: int) -> None:
    command = [sys.executable, "-m", "voxfleet_testbed.supervision.supervisor", str(folder.path)]
    with (folder.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [*command, str(owner_pipe), str(lock)],
            env={**os.environ, RUN_VARIABLE: folder.run_id},
            pass_fds=(owner_pipe, lock),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder.path / "supervisor.pid").write_text(str(supervisor.pid))


def _wait_for_supervisor(run: Run) -> None:
    deadline = time.monotonic() + SUPERVISOR_START_SECONDS
    while not run.folder.socket.exists():
        if time.monotonic() > deadline or not is_alive(run.folder):
            raise StartError(f"the supervisor did not start:\n{run.log_end('supervisor')}")
        time.sleep(POLL_SECONDS)


def attach(folder: RunFolder) -> Run:
    """Return a client for a run that another process started; it does not end with this process."""
    return Run(folder)
