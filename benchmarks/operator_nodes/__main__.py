"""How long 200 one-GPU spot nodes take to come and to go: with VoxFleet, and with a Deployment scaled by hand.

The control plane and Karpenter are real, machines and pods are simulated. Both sides ask for the same pods, in turn, on
the same empty cluster: the bare Deployment has the pod template that the operator wrote. Only the comparison means
much, because Karpenter, the scheduler and the controller manager share this machine's cores with everything else.

    python benchmarks/operator_nodes --nodes 200
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sides import Side, give_back_nodes, measure_sides
from voxfleet_demo.spot.environment import running_spot_environment
from voxfleet_testbed.phase_display import show_phases


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=200, help="nodes that each side asks for")
    parser.add_argument(
        "--boot-seconds", type=int, default=10, help="from Karpenter's request to a node's registration"
    )
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    console = Console()
    with (
        show_phases(console) as report,
        running_spot_environment(boot_seconds=arguments.boot_seconds, report=report) as environment,
    ):
        sides = measure_sides(environment, arguments.nodes, report)
        give_back_nodes(environment)
    console.print(table_of(sides, arguments.nodes))
    if arguments.json is not None:
        rows = [side.row() for side in sides]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def table_of(sides: tuple[Side, ...], nodes: int) -> Table:
    """Return one column for each side."""
    table = Table(f"{nodes} one-GPU spot nodes", *(side.name for side in sides))
    for label in sides[0].row():
        if label != "side":
            table.add_row(label, *(str(side.row()[label]) for side in sides))
    return table


if __name__ == "__main__":
    main()
