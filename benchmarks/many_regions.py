"""What grows with the number of regions: a decision, its log line, a peer's report, the linear program behind DNS.

Drives the product's own functions with made-up states, in one process; the figures are processor time. The decision
record about internet scale (docs/decisions/0017) takes its arithmetic from them.

    python benchmarks/many_regions.py --regions 3 32 100
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.demand_shares.linear_program import solve
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import GroupDemand, RegionSupply, RoutingProblem
from voxfleet_gateway.decisions.record import DecisionRecord, to_json
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.peers.report import ModelReport, format_report, new_report, parse_region_report

REPEATS = 5
GROUPS = 256  # as many as the DNS engine makes
MODELS = (1, 100, 1000)
COUNTRIES = 20  # of a model's clients at one gateway


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--regions", type=int, nargs="+", default=[3, 32, 100])
    options = parser.parse_args()
    console, chance = Console(), random.Random(1)  # noqa: S311  # no secret
    by_regions = Table("regions", *map(str, options.regions))
    rows = [_decision(count, chance) for count in options.regions]
    by_regions.add_row("one decision, us", *(f"{row[0] * 1e6:.1f}" for row in rows))
    by_regions.add_row("after all states changed, us", *(f"{row[1] * 1e6:.1f}" for row in rows))
    by_regions.add_row("record in the log line, bytes", *(f"{row[2]}" for row in rows))
    programs = [_program(count, chance) for count in options.regions]
    by_regions.add_row(f"linear program, {GROUPS} groups, s", *(f"{seconds:.2f}" for seconds in programs))
    console.print(by_regions)
    by_models = Table("models with requests in a region", *map(str, MODELS))
    reports = [_report(count, chance) for count in MODELS]
    by_models.add_row("report, bytes", *(f"{row[0]:,}" for row in reports))
    by_models.add_row("to write and to read one, ms", *(f"{row[1] * 1e3:.2f}" for row in reports))
    console.print(by_models)


def _decision(count: int, chance: random.Random) -> tuple[float, float, int]:
    views = tuple(
        RegionView(f"region-{number:03d}", ready_pods=4, rows=128, running=chance.randint(0, 128), is_remote=number > 0)
        for number in range(count)
    )
    request = RouteRequest("region-000", rtt_seconds=tuple(chance.uniform(0.01, 0.3) for _ in views), tenant="acme")
    standings = stand_all(views)
    kept = _seconds(lambda: decide(standings, request))
    changed = _seconds(lambda: decide(stand_all(views), request))
    record = DecisionRecord(request, standings, decide(standings, request))
    return kept, changed, len(json.dumps(to_json(record)).encode())


def _program(count: int, chance: random.Random) -> float:
    groups = tuple(
        GroupDemand(
            ClientGroup("DE", number // 36, number % 36), 10.0, tuple(chance.uniform(0.01, 0.3) for _ in range(count))
        )
        for number in range(GROUPS)
    )
    slots = 1.5 * GROUPS * 10.0 / count
    problem = RoutingProblem(tuple(RegionSupply(f"region-{number:03d}", slots) for number in range(count)), groups)
    first = solve(problem)
    if first is None:
        raise SystemExit(f"no solution for {count} regions")
    again = RoutingProblem(problem.regions, problem.groups, first.shares)
    return _seconds(lambda: solve(again), calls=1)


def _report(count: int, chance: random.Random) -> tuple[int, float]:
    countries = {f"{chr(65 + number)}A": 0.25 for number in range(COUNTRIES)}
    rows = [
        ModelReport(
            namespace="default",
            name=f"model-{number:04d}",
            ready_pods=4,
            rows=128,
            running=chance.randint(1, 128),
            open_requests=chance.randint(1, 128),
            service_seconds=2.1,
            step_seconds_p50=0.0041,
            arrivals_per_second=5.0,
            arrivals_by_country=countries,
        )
        for number in range(count)
    ]
    now = datetime.now(UTC)
    body = format_report(new_report("region-000", "gateway-0", 2, rows, now))
    written = _seconds(lambda: format_report(new_report("region-000", "gateway-0", 2, rows, now)), calls=5)
    read = _seconds(lambda: parse_region_report(body, "region-000", now), calls=5)
    return len(body), written + read


def _seconds(function: Callable[[], object], calls: int = 200) -> float:
    """Return the least processor time of a call, of several rounds."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(calls):
            function()
        found.append((time.process_time() - began) / calls)
    return min(found)


if __name__ == "__main__":
    main()
