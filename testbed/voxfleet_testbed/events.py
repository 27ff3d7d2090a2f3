"""Phases as events: what the testbed is doing, told to whoever shows it.

Does: names a phase, measures it, passes progress on. Knows: nothing of terminals.
Every long step takes a `Report`; the command line draws a table of them, the tests pass `ignore`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["started", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """One thing that happened to one phase; `fraction` is None while the end is unknown."""

    phase: str
    state: State
    detail: str = ""
    fraction: float | None = None
    seconds: float = 0.0


Report = Callable[[PhaseEvent], None]
Progress = Callable[[str, float | None], None]


def ignore(_event: PhaseEvent) -> None:
    """Tell nobody."""


@contextlib.contextmanager
def phase(report: Report, name: str) -> Iterator[Progress]:
    """Report the start, the progress and the end of one phase; yields progress(detail, fraction)."""
    started = time.monotonic()

    def elapsed() -> float:
        return time.monotonic() - started

    def progress(detail: str, fraction: float | None = None) -> None:
        report(PhaseEvent(name, "running", detail, fraction, elapsed()))

    report(PhaseEvent(name, "started"))
    try:
        yield progress
    except BaseException as error:
        report(PhaseEvent(name, "failed", str(error).partition("\n")[0], None, elapsed()))
        raise
    report(PhaseEvent(name, "done", "", 1.0, elapsed()))
