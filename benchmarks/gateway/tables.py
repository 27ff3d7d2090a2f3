"""The tables that are printed: one per part, and the goals.

Knows: rich. Does not know: what the figures mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from parts.part import Result, Row
from rich.table import Table

VERDICTS = {True: "met", False: "missed", None: "not measured"}


def tables_of(result: Result) -> Iterator[Table]:
    """Yield a part's tables."""
    key = result.table_per
    for value, rows in groupby(result.rows, key=lambda row: row[key] if key is not None else None):
        yield _table(result.part if key is None else f"{result.part}, {value}", [*rows], left_out=key)


def _table(title: str, rows: Sequence[Row], left_out: str | None) -> Table:
    """Return the rows as columns, since there are more figures than rows."""
    head, *labels = (label for label in rows[0] if label != left_out)
    table = Table(head, title=title)
    for row in rows:
        table.add_column(cell(row[head]), justify="right")
    for label in labels:
        table.add_row(label, *(cell(row[label]) for row in rows))
    return table


def goals_table(results: Sequence[Result]) -> Table:
    """Return every goal with what was measured."""
    table = Table("goal", "measured", "", title="goals")
    for goal in (goal for result in results for goal in result.goals):
        table.add_row(goal.text, goal.measured, VERDICTS[goal.is_met])
    return table


def cell(value: Any) -> str:
    """Return a value as text; what a way does not have is a dash."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{count} x {kind}" for kind, count in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
