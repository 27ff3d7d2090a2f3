"""Long steps as events: a phase starts, progresses and ends.

Does: names a phase, measures it, reports its progress. Does not know: terminals. Every long step takes a `Report`; the
command line passes one that draws (phase_display.py), tests pass `ignore`.
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
    """One change of one phase."""

    phase: str  # its name
    state: State
    detail: str = ""  # the current item, or why the phase failed
    fraction: float | None = None  # done, from 0 to 1; None while the total is unknown
    seconds: float = 0.0  # since the phase started


Report = Callable[[PhaseEvent], None]
Progress = Callable[[str, float | None], None]


def ignore(_event: PhaseEvent) -> None:
    """Discard the event."""


@contextlib.contextmanager
def phase(report: Report, name: str) -> Iterator[Progress]:
    """Report the start, progress and end (or failure) of the block; yields progress(detail, fraction)."""
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
