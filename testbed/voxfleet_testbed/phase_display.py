"""Phases drawn on a terminal: a moving line per running phase, a fixed line when it ends.

Knows: rich. Without a terminal (a log) only fixed lines are written: one when a phase ends, and one every half minute
while it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from voxfleet_testbed.events import PhaseEvent, Report

DETAIL_CHARACTERS = 48  # the end of a Go package's path: the rest of the line fits 100 columns
LOG_INTERVAL_SECONDS = 30.0


@contextmanager
def show_phases(console: Console) -> Iterator[Report]:
    """Yield a `Report` that draws on the console for as long as the block runs; it may be called from any thread."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield PhaseDisplay(progress)


class PhaseDisplay:
    """A `Report` that draws: keeps one moving line per running phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._logged_at_seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, event: PhaseEvent) -> None:
        """Draw one event."""
        with self._lock:
            if event.state == "started":
                self._tasks[event.phase] = self._progress.add_task(event.phase, total=None, detail="")
            elif event.state == "running":
                self._draw(event)
            else:
                self._progress.remove_task(self._tasks.pop(event.phase))
                self._progress.console.print(finished_line(event), highlight=False)

    def _draw(self, event: PhaseEvent) -> None:
        total = None if event.fraction is None else 1.0
        detail = event.detail[-DETAIL_CHARACTERS:]
        self._progress.update(self._tasks[event.phase], total=total, completed=event.fraction or 0.0, detail=detail)
        self._log_running(event)

    def _log_running(self, event: PhaseEvent) -> None:
        """Write a line about a long phase now and then where no moving line can be drawn."""
        logged_at_seconds = self._logged_at_seconds.get(event.phase, 0.0)
        if not self._progress.console.is_terminal and event.seconds - logged_at_seconds >= LOG_INTERVAL_SECONDS:
            self._logged_at_seconds[event.phase] = event.seconds
            self._progress.console.print(running_line(event), highlight=False, markup=False)


def finished_line(event: PhaseEvent) -> str:
    """Return the line that stays after a phase has ended."""
    mark = "[green]done[/]  " if event.state == "done" else "[red]failed[/]"
    detail = f"  {event.detail}" if event.state == "failed" else ""
    return f"  {mark} {event.phase:<20} {event.seconds:7.1f} s{detail}"


def running_line(event: PhaseEvent) -> str:
    """Return the log line of a phase that is still running."""
    share = "" if event.fraction is None else f"  {event.fraction:.0%}"
    return f"  ...    {event.phase:<20} {event.seconds:7.1f} s{share}  {event.detail[-DETAIL_CHARACTERS:]}"
