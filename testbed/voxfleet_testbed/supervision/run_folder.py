"""One folder per run: all of a cluster's files are below it, and its lock is held while the run is alive.

Does: makes, finds and describes run folders. Knows: the names of a run's interfaces, cgroups and networks.
Does not know: what runs in it. Standard library only, so that the supervisor starts fast.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN_VARIABLE = "VOXFLEET_TESTBED_RUN"  # in the environment of every process of a run, so that traces.py finds them
LOCK_NAME = "supervisor.lock"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder and the names derived from it."""

    path: Path

    @property
    def run_id(self) -> str:
        """Eight hexadecimal digits, the folder's name."""
        return self.path.name

    @property
    def trace_name(self) -> str:
        """The name of this run's cgroups, CNI networks and certificate authority."""
        return f"voxfleet-{self.run_id}"

    @property
    def link_name(self) -> str:
        """The name of this machine's end of the link to the cluster; interface names have at most 15 characters."""
        return f"vf{self.run_id}"

    @property
    def socket(self) -> Path:
        """The Unix socket of the supervisor."""
        return self.path / "supervisor.sock"

    @contextlib.contextmanager
    def socket_address(self, name: str = "") -> Iterator[str]:
        """Yield an address for the supervisor's socket, or for a file `name` beside it.

        A Unix socket's path has at most 107 bytes (unix(7)), and a run may lie deeper: the address goes through an open
        descriptor of the folder, so its length is fixed.
        """
        folder = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{name or self.socket.name}"
        finally:
            os.close(folder)

    @property
    def logs(self) -> Path:
        """The folder of the log files, one per process."""
        return self.path / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.path / "kubeconfig"

    def describe(self, **facts: Any) -> None:
        """Add facts to the run's description (run.json), which `status` shows."""
        description = self.path / "run.json"
        description.write_text(json.dumps({**self.facts(), **facts}, indent=2))

    def facts(self) -> dict[str, Any]:
        """Return the facts described so far; empty for a run whose start failed early."""
        description = self.path / "run.json"
        facts: dict[str, Any] = json.loads(description.read_text()) if description.exists() else {}
        return facts

    def write(self, name: str, content: bytes, mode: int = 0o644) -> Path:
        """Write one file below the folder; the mode is set when it is created, so a private key is never readable."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return path


def create_run(runs: Path) -> tuple[RunFolder, int]:
    """Make a run's folder; returns it and the descriptor of its held lock, which the supervisor inherits.

    Raises:
        PermissionError: `runs` belongs to another user.
    """
    runs.mkdir(mode=0o755, parents=True, exist_ok=True)
    if runs.stat().st_uid != os.getuid():
        raise PermissionError(f"{runs} belongs to another user; set TMPDIR to a folder of your own")
    with creation_lock(runs):
        run = RunFolder(runs / secrets.token_hex(4))  # 8 digits: with "vf" they fit an interface's name
        run.path.mkdir(mode=0o755)
        lock = os.open(run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    run.logs.mkdir()
    return run, lock


def find_runs(runs: Path) -> Iterator[RunFolder]:
    """Yield every run of this user, oldest first."""
    folders = [folder for folder in runs.glob("*") if folder.is_dir()] if runs.exists() else []
    yield from (RunFolder(folder) for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime))


def is_alive(run: RunFolder) -> bool:
    """Return whether a supervisor (or a start in progress) holds the run's lock."""
    # The kernel releases a lock when its holder ends, however it ends; a process id could be reused.
    try:
        lock = os.open(run.path / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextlib.contextmanager
def creation_lock(runs: Path) -> Iterator[None]:
    """Hold the lock of the runs folder: a new run looks stale between mkdir and its own lock."""
    descriptor = os.open(runs / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
