"""The gateway's speed beside nginx as a plain proxy of the same stub pods, in the same run.

The gateway runs as in production, pinned to a core of its own, against a stub API server; clients and stub pods are on
the other cores. Where both sides do the same job, direct requests, nginx and gateway take turns, so that other load on
the machine affects all alike. On a machine of two cores every time mixes client, pods and way: the processor time of
the gateway's own process is the figure to compare.

    python benchmarks/gateway --only first-byte streams
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop
from hottest import hottest
from hottest import table_of as profile_table
from parts import cold, decisions, first_byte, held, scaling, streams, throughput
from parts.part import Options, Result
from rich.console import Console
from sides.nginx import HOW_TO_INSTALL, find_nginx
from sides.scenario import Scenario
from sides.stub_cluster import StubCluster
from tables import goals_table, tables_of

PARTS: dict[str, Callable[[Options], Result]] = {
    "first-byte": first_byte.run,
    "throughput": throughput.run,
    "streams": streams.run,
    "held": held.run,
    "cold": cold.run,
    "decisions": decisions.run,
    "scaling": scaling.run,
}


def main() -> None:
    """Measure and print; with the hidden options, be one of the processes beside it."""
    arguments = parsed()
    if arguments.stub:
        uvloop.run(run_stub(arguments.stub))
    elif arguments.drive:
        scaling.drive(arguments.drive)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the measured processes too
        report(arguments)


def parsed() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="how often each way takes its turn; default 3")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, measures little")
    parser.add_argument(
        "--profile", type=Path, help="write a cProfile of the gateway here and print its hottest functions; one part"
    )
    parser.add_argument("--json", type=Path, help="write the rows here too")
    for hidden in ("--stub", "--drive"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: at least 1")
    if arguments.profile and (len(arguments.only) != 1 or arguments.only == ["scaling"]):
        parser.error("--profile needs one part: add --only PART, any but scaling, whose gateways are several")
    return arguments


async def run_stub(scenario: str) -> None:
    """Serve pods and API server until stdin ends; print their ports."""
    cluster = StubCluster(Scenario.of(scenario))
    print(json.dumps({"api": await cluster.start(), "pods": cluster.pod_ports}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def report(arguments: argparse.Namespace) -> None:
    """Run the parts, and print a table after each and the goals at the end."""
    console, errors = Console(), Console(stderr=True)
    cores = tuple(sorted(os.sched_getaffinity(0)))
    options = Options(cores, arguments.rounds, arguments.quick, arguments.profile)
    os.sched_setaffinity(0, cores[1:] or cores)  # the first is the measured process's
    if find_nginx() is None:
        console.print(HOW_TO_INSTALL, markup=False)
    results = []
    for name in arguments.only:
        errors.print(f"{name} ...", markup=False, highlight=False)
        results.append(PARTS[name](options))
        for table in tables_of(results[-1]):
            console.print(table)
        for note in results[-1].notes:
            console.print(note, markup=False, highlight=False)
    rows = {result.part: result.to_json() for result in results}
    if arguments.profile is None and any(result.goals for result in results):
        console.print(goals_table(results))
    elif arguments.profile is not None:
        console.print("the profiler slows the gateway down: its times above are no measurement", markup=False)
        served = sum(row["requests"] for row in results[0].rows if row.get("way", "gateway") == "gateway")
        console.print(profile_table(hottest(arguments.profile, served)))
    if arguments.json is not None:
        machine = {"cores": len(cores), "load_average": os.getloadavg(), "has_nginx": find_nginx() is not None}
        arguments.json.write_text(json.dumps({"machine": machine, "parts": rows}, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(row.get("failed") for result in results for row in result.rows))


if __name__ == "__main__":
    main()
