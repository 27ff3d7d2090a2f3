"""What 1,000 resources of three regions cost: the operator beside a bare loop that applies the same objects.

Each side has a new control plane (etcd and an API server, no controllers). The operator creates the objects of the
resources; the loop sends the very bodies that the operator sent, with as many requests at once, and does nothing else.
Both share this machine's cores with the API server, so only the ratio means much.

    python benchmarks/operator_scale --resources 1000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bare_loop import measure_bare_loop
from operator_side import OperatorFigures, measure_operator
from rich.console import Console
from rich.table import Table

MOST_TIMES, MOST_MIB = 1.3, 260.0


def main() -> int:
    """Measure and print; the exit code is 1 when the idle operator wrote something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--resources", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=3)
    parser.add_argument("--idle-seconds", type=int, default=60, help="how long writes are counted at rest")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--log", type=Path, help="keep the operator's log here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log or Path(folder) / "operator.log"
        figures, bodies = measure_operator(arguments.resources, arguments.regions, arguments.idle_seconds, log)
    bare_seconds = measure_bare_loop(bodies)
    console = Console()
    console.print(table_of(figures, bare_seconds, arguments.resources, arguments.regions))
    if arguments.json is not None:
        row = {**figures.row(), "bare_seconds": bare_seconds, "objects": len(bodies)}
        arguments.json.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    return int(figures.idle_writes > 0)


def table_of(figures: OperatorFigures, bare_seconds: float, resources: int, regions: int) -> Table:
    """Return the figures, with the goals that design names."""
    times = figures.steady_seconds / bare_seconds
    table = Table(f"{resources} resources x {regions} regions", "measured", "goal")
    table.add_row("objects, the resources among them", str(figures.objects), "")
    table.add_row("until all are applied and Ready, s", f"{figures.steady_seconds:.1f}", "")
    table.add_row("a bare loop with the same bodies, s", f"{bare_seconds:.1f}", "")
    table.add_row("times the bare loop", f"{times:.2f}", f"{MOST_TIMES}")
    table.add_row("requests of the operator per resource", f"{figures.calls / resources:.1f}", "")
    table.add_row("processor s of the operator", f"{figures.processor_seconds:.1f}", "")
    table.add_row("memory of the operator, MiB", f"{figures.memory_mib:.0f}", f"{MOST_MIB:.0f}")
    table.add_row(f"writes in {figures.idle_seconds} s at rest", str(figures.idle_writes), "0")
    table.add_row("processor s of the operator at rest", f"{figures.idle_processor_seconds:.1f}", "")
    table.add_row("restart until all are looked at, s", f"{figures.restart_seconds:.1f}", "")
    table.add_row("writes after the restart", str(figures.restart_writes), "0")
    return table


if __name__ == "__main__":
    sys.exit(main())
