"""Processes on chosen cores, and the processor time and memory that they use.

Knows: /proc, affinity. Does not know: what the processes do.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

END_SECONDS = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the measured processes run on, and which are for clients and pods."""

    measured: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def are_shared(self) -> bool:
        """Whether clients and pods run on a core of a measured process."""
        return bool(set(self.measured) & set(self.others))


def split_cores(available: Sequence[int], processes: int = 1) -> Cores:
    """Give each measured process a core of its own where enough are left for clients and pods, else as many as may be.

    A client with its pods uses about as much as the gateway that they load, so half of the cores are theirs.
    """
    measured = max(1, min(processes, len(available) // 2))
    return Cores(tuple(available[:measured]), tuple(available[measured:]) or tuple(available))


@contextlib.contextmanager
def running(command: Sequence[str], cores: Sequence[int], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program on these cores; leaving the context sends SIGTERM, and SIGKILL where that ends nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited from the first instruction on, by every thread and worker
    try:
        process = subprocess.Popen(command, text=True, **options)
    finally:
        os.sched_setaffinity(0, before)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its children so far, to the nanosecond, of all their threads."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9 + sum(processor_seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


@dataclass(slots=True)
class Meter:
    """Adds up what processes, each known by a name, used while the context lasts."""

    pids: Mapping[str, Sequence[int]]
    spent_seconds: dict[str, float] = field(default_factory=dict)
    elapsed_seconds: float = 0.0

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Add what is used during the context."""
        before, began_at = self._read(), time.monotonic()
        yield
        self.elapsed_seconds += time.monotonic() - began_at
        for name, seconds in self._read().items():
            self.spent_seconds[name] = self.spent_seconds.get(name, 0.0) + seconds - before[name]

    def share(self, name: str) -> float:
        """Return the share of one core that a process used."""
        return round(self.spent_seconds.get(name, 0.0) / self.elapsed_seconds, 3) if self.elapsed_seconds else 0.0

    def _read(self) -> dict[str, float]:
        return {name: sum(map(processor_seconds, pids)) for name, pids in self.pids.items()}
