"""A table that fills while measurements run, above the progress of the one under way; Markdown of the same rows.

Knows: rich, columns of text. Does not know: what the figures mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(slots=True)
class Display:
    """Rows so far, and the running progress bars."""

    columns: Sequence[str]
    console: Console
    rows: list[tuple[str, ...]] = field(default_factory=list)
    _progress: Progress = field(init=False)
    _live: Live = field(init=False)

    def __post_init__(self) -> None:
        parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*parts, console=self.console)
        self._live = Live(console=self.console, get_renderable=self._drawn, refresh_per_second=2)

    @contextmanager
    def showing(self) -> Iterator[Display]:
        """Draw for as long as the block runs; without a terminal lines are printed as they come."""
        if not self.console.is_terminal:
            yield self
            return
        with self._live:
            yield self

    @contextmanager
    def counting(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a progress bar during the block, or one line without a terminal; yields what advances it by one."""
        if not self.console.is_terminal:
            self.console.print(f"{name}: {total} clips", markup=False, highlight=False, soft_wrap=True)
        task = self._progress.add_task(name, total=total)
        try:
            yield lambda: self._progress.advance(task)
        finally:
            self._progress.remove_task(task)

    def add(self, *row: str) -> None:
        """Add a row to the table."""
        self.rows.append(row)
        if not self.console.is_terminal:
            self.console.print(" | ".join(row), markup=False, highlight=False, soft_wrap=True)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    def _drawn(self) -> Group:
        table = Table(*self.columns)
        for row in self.rows:
            table.add_row(*row)
        return Group(table, self._progress)
