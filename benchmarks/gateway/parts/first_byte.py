"""What nginx and the gateway add to the time to the first byte, at 1, 4 and 16 requests in flight.

Knows: the goal. Does not know: how the ways are started.

Back to back, a response is one chunk and the next request follows at once: whatever is in flight then waits for the
processor, and the time grows with it (16 in flight at 0.7 ms each are 11 ms). Spread over 40 ms, as by a fast pod, most
requests in flight wait for the pod, as real ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import closed_loop, request_of
from clients.outcomes import Outcome, first_bytes, percentiles_ms
from parts.part import Goal, Measured, Options, Result, Row, alternate, processor_columns, requests_of
from sides.processes import split_cores
from sides.scenario import Scenario, model_name
from sides.ways import DIRECT, GATEWAY, Ways, opened

PODS = 4
GOAL_MS = 3.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What is in flight, and how many requests a way is sent in one round."""

    in_flight: int
    text: SpokenText
    name: str
    requests: int

    def __str__(self) -> str:
        """Return the title of its table."""
        return f"{self.in_flight} in flight, {self.name}"


BACK_TO_BACK, SPREAD = SpokenText(chunks=1), SpokenText(chunks=4, pause_ms=20)
KINDS = (
    *(Kind(in_flight, BACK_TO_BACK, "back to back", 1000) for in_flight in (1, 4, 16)),
    *(
        Kind(in_flight, SPREAD, "spread over 40 ms", requests)
        for in_flight, requests in ((1, 150), (4, 400), (16, 1000))
    ),
)


def run(options: Options) -> Result:
    """Measure every kind."""
    cores, result = split_cores(options.available), Result("first-byte", table_per="load")
    with opened(Scenario(pods=PODS), cores, profile=options.profile) as ways:
        for kind in KINDS:
            measured = measure(kind, options, ways)
            result.rows += rows_of(measured, str(kind))
            result.goals.append(goal_of(measured, str(kind)))
    result.note_load(result.rows, cores)
    return result


def measure(kind: Kind, options: Options, ways: Ways) -> dict[str, Measured]:
    """Measure one kind on all ways."""
    request, requests = request_of(model_name(0), kind.text), options.pick(kind.requests, 2 * kind.in_flight)

    async def load(pool: Pool) -> list[Outcome]:
        return await closed_loop(pool, request, requests, kind.in_flight)

    async def warm_up(pool: Pool) -> list[Outcome]:
        return await closed_loop(pool, request, max(10, 2 * kind.in_flight), kind.in_flight)

    return alternate(ways, options.rounds, warm_up, load)


def rows_of(measured: dict[str, Measured], load: str) -> list[Row]:
    """Return one row for each way, with what it adds to the direct one."""
    direct = percentiles_ms(first_bytes(measured[DIRECT].outcomes))
    processor = processor_columns(measured, "request", requests_of)
    rows = []
    for name, each in measured.items():
        own = percentiles_ms(first_bytes(each.outcomes))
        rows.append(
            {"way": name, "load": load, "requests": len(each.outcomes)}
            | {f"{percent} ms": value for percent, value in own.items()}
            | {f"added {percent}": round(value - direct[percent], 3) for percent, value in own.items()}
            | processor[name]
            | each.shares()
        )
    return rows


def goal_of(measured: dict[str, Measured], load: str) -> Goal:
    """Judge what the gateway adds at the 95th percentile."""
    p95 = {name: percentiles_ms(first_bytes(each.outcomes))["p95"] for name, each in measured.items()}
    added_ms = p95[GATEWAY] - p95[DIRECT]
    text = f"added to the first byte, p95, {load} <= {GOAL_MS:g} ms"
    return Goal(text, f"{added_ms:.2f} ms", added_ms <= GOAL_MS)
