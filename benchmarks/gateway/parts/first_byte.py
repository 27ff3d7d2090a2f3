"""What nginx and the gateway add to the time to the first byte, at 1, 4 and 16 requests in flight.

Knows: the goal. Does not know: how the ways are started.
"""

from __future__ import annotations

from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import closed_loop, request_of
from clients.outcomes import Outcome, first_bytes, percentiles_ms
from parts.part import Goal, Measured, Options, Result, Row, alternate, processor_columns, requests_of
from sides.processes import split_cores
from sides.scenario import Scenario, model_name
from sides.ways import DIRECT, GATEWAY, opened

IN_FLIGHT = (1, 4, 16)
PODS = 4
GOAL_MS = 3.0
TEXT = SpokenText(chunks=1)


def run(options: Options) -> Result:
    """Measure all numbers in flight."""
    cores, result = split_cores(options.available), Result("first-byte", table_per="in flight")
    requests = options.pick(1000, 30)
    with opened(Scenario(pods=PODS), cores, profile=options.profile) as ways:
        for in_flight in IN_FLIGHT:
            request = request_of(model_name(0), TEXT)

            async def load(
                pool: Pool, count: int = requests, at_once: int = in_flight, request: bytes = request
            ) -> list[Outcome]:
                return await closed_loop(pool, request, count, at_once)

            async def warm_up(pool: Pool, at_once: int = in_flight, request: bytes = request) -> list[Outcome]:
                return await closed_loop(pool, request, max(10, 2 * at_once), at_once)

            measured = alternate(ways, options.rounds, warm_up, load)
            result.rows += rows_of(measured, in_flight)
            result.goals.append(goal_of(measured, in_flight))
    result.note_load(result.rows, cores)
    return result


def rows_of(measured: dict[str, Measured], in_flight: int) -> list[Row]:
    """Return one row for each way, with what it adds to the direct one."""
    direct = percentiles_ms(first_bytes(measured[DIRECT].outcomes))
    processor = processor_columns(measured, "request", requests_of)
    rows = []
    for name, each in measured.items():
        own = percentiles_ms(first_bytes(each.outcomes))
        rows.append(
            {"way": name, "in flight": in_flight, "requests": len(each.outcomes)}
            | {f"{percent} ms": value for percent, value in own.items()}
            | {f"added {percent}": round(value - direct[percent], 3) for percent, value in own.items()}
            | processor[name]
            | each.shares()
        )
    return rows


def goal_of(measured: dict[str, Measured], in_flight: int) -> Goal:
    """Judge what the gateway adds at the 95th percentile."""
    p95 = {name: percentiles_ms(first_bytes(each.outcomes))["p95"] for name, each in measured.items()}
    added_ms = p95[GATEWAY] - p95[DIRECT]
    text = f"added time to first byte, p95, {in_flight} in flight <= {GOAL_MS:g} ms"
    return Goal(text, f"{added_ms:.2f} ms", added_ms <= GOAL_MS)
