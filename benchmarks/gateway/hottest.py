"""The gateway's most expensive functions, from a cProfile of its process.

Knows: pstats. Does not know: what was measured meanwhile. A profile slows Python's calls down more than its loops, so
shares mean more than times.
"""

from __future__ import annotations

import pstats
from pathlib import Path
from typing import Any

from rich.table import Table

OWN = "voxfleet_gateway"
SHOWN = 18
Row = dict[str, Any]


def hottest(profile: Path, requests: int) -> list[Row]:
    """Return the functions with the most time of their own, the gateway's and others, per request."""
    stats: Any = pstats.Stats(str(profile))
    rows = [
        {
            "function": _name(path, line, function),
            "is own": f"/{OWN}/" in path,
            "calls per request": round(calls / requests, 2),
            "own us per request": round(own * 1e6 / requests, 1),
            "with callees us per request": round(total * 1e6 / requests, 1),
        }
        for (path, line, function), (_primitive, calls, own, total, _callers) in stats.stats.items()
    ]
    ordered = sorted(rows, key=lambda row: row["own us per request"], reverse=True)
    own_rows = [row for row in ordered if row["is own"]][:SHOWN]
    return own_rows + [row for row in ordered if not row["is own"]][:SHOWN]


def table_of(rows: list[Row]) -> Table:
    """Return the rows: the gateway's functions, then others."""
    table = Table("function", "calls", "own us", "with callees us", title="per request, under cProfile")
    for row in rows:
        if not row["is own"] and table.rows and not table.rows[-1].end_section and _is_first_other(rows, row):
            table.add_section()
        cells = ("function", "calls per request", "own us per request", "with callees us per request")
        table.add_row(*(str(row[cell]) for cell in cells))
    return table


def _is_first_other(rows: list[Row], row: Row) -> bool:
    return row is next(each for each in rows if not each["is own"])


def _name(path: str, line: int, function: str) -> str:
    parts = Path(path).parts
    if OWN in parts:
        return f"{'/'.join(parts[parts.index(OWN) + 1 :])}:{line} {function}"
    return function if path == "~" else f"{'/'.join(parts[-2:])}:{line} {function}"
