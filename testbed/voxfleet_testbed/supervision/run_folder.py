"""One run, one folder: everything a cluster writes lies below it, and its lock says whether it still lives.

Does: makes, finds and describes run folders. Knows: the names that a run's traces carry on this machine.
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

RUN_VARIABLE = "VOXFLEET_TESTBED_RUN"
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
        """What this run's network namespace, cgroups and CNI networks are called."""
        return f"voxfleet-{self.run_id}"

    @property
    def link_name(self) -> str:
        """This machine's end of the link to the cluster; interface names hold 15 characters."""
        return f"vf{self.run_id}"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        return self.path / "supervisor.sock"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.path / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in."""
        return self.path / "kubeconfig"

    def describe(self, **facts: Any) -> None:
        """Add facts to the run's description, for `status` and for people."""
        description = self.path / "run.json"
        description.write_text(json.dumps({**self.facts(), **facts}, indent=2))

    def facts(self) -> dict[str, Any]:
        """What was described so far; empty for a run that broke off early."""
        description = self.path / "run.json"
        facts: dict[str, Any] = json.loads(description.read_text()) if description.exists() else {}
        return facts

    def write(self, name: str, content: bytes, mode: int = 0o644) -> Path:
        """Write one file below the folder, private from its first byte where mode says so."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return path


def create_run(runs: Path) -> tuple[RunFolder, int]:
    """Make a run's folder, already locked; the supervisor inherits the lock's descriptor."""
    runs.mkdir(mode=0o755, parents=True, exist_ok=True)
    if runs.stat().st_uid != os.getuid():
        raise PermissionError(f"{runs} belongs to another user; set TMPDIR to a folder of your own")
    with creation_lock(runs):
        run = RunFolder(runs / secrets.token_hex(4))
        run.path.mkdir(mode=0o755)
        lock = os.open(run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    run.logs.mkdir()
    return run, lock


def find_runs(runs: Path) -> Iterator[RunFolder]:
    """Every run of this user, oldest first."""
    folders = [folder for folder in runs.glob("*") if folder.is_dir()] if runs.exists() else []
    yield from (RunFolder(folder) for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime))


def is_alive(run: RunFolder) -> bool:
    """Whether a supervisor (or a start in progress) holds the run's lock."""
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
    """Between mkdir and the lock a folder looks stale; sweeping waits for that moment to pass."""
    descriptor = os.open(runs / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
