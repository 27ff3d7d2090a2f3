"""The results of faults as a table, and in one line each.

Knows: columns and colours. Does not know: how anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from voxfleet_demo.chaos.outcomes import Ending, FaultResult

TABLE_WIDTH = 150  # whatever the terminal's: a table in a log is read as one


def as_table(results: Sequence[FaultResult]) -> Table:
    """Return one row per fault."""
    table = Table("fault", title="requests under each fault")
    for heading in ("requests", *Ending, "longest wait", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for result in results:
        counts = [str(result.counts[ending]) for ending in Ending]
        wait, seconds = f"{result.longest_wait_seconds:.1f} s", f"{result.seconds:.0f}"
        verdict = f"[red]{', '.join(result.problems)}[/]" if result.problems else "[green]passed[/]"
        table.add_row(result.kind.name, str(result.requests), *counts, wait, seconds, verdict)
    return table


def as_lines(result: FaultResult) -> str:
    """Return the counts that are not 0 in one line, then what failed, the most frequent first."""
    counts = ", ".join(f"{result.counts[ending]} {ending}" for ending in Ending if result.counts[ending])
    first = f"{result.requests} requests: {counts}; longest wait {result.longest_wait_seconds:.1f} s"
    if result.longest_failure_seconds:
        first += f", longest failure {result.longest_failure_seconds:.1f} s"
    failed = (f"{number} x {what}" for what, number in result.details.most_common())
    return "\n".join(f"    {line}" for line in (first, *failed, *result.problems))
