"""1,000 short requests a second through one process, whatever became of earlier ones.

Knows: the goal. Does not know: how the ways are started.
"""

from __future__ import annotations

from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import at_times, evenly, request_of
from clients.outcomes import Outcome, percentiles_ms, totals
from parts.part import Goal, Measured, Options, Result, Row, alternate, processor_columns, requests_of
from sides.processes import split_cores
from sides.scenario import Scenario, model_name
from sides.ways import GATEWAY, opened

PODS = 4
PER_SECOND, GOAL_P99_MS = 1000, 100.0
WARM_CONNECTIONS = 32


def run(options: Options) -> Result:
    """Measure each way at the same rate."""
    cores, result = split_cores(options.available), Result("throughput")
    request = request_of(model_name(0), SpokenText(chunks=1))
    seconds, per_second = options.pick(6.0, 1.0), options.pick(PER_SECOND, 100)

    async def load(pool: Pool) -> list[Outcome]:
        return await at_times(pool, evenly(request, per_second, seconds))

    async def warm_up(pool: Pool) -> list[Outcome]:
        await pool.open(WARM_CONNECTIONS)
        return await at_times(pool, evenly(request, per_second / 5, 1.0))

    with opened(Scenario(pods=PODS), cores, profile=options.profile) as ways:
        measured = alternate(ways, options.rounds, warm_up, load)
    result.rows = rows_of(measured, per_second)
    result.goals.append(goal_of(measured[GATEWAY], per_second))
    result.note_load(result.rows, cores)
    return result


def rows_of(measured: dict[str, Measured], per_second: int) -> list[Row]:
    """Return one row for each way; times are from the moment that a request was due to its last byte."""
    processor = processor_columns(measured, "request", requests_of)
    rows = []
    for name, each in measured.items():
        times = totals(each.outcomes)
        rows.append(
            {"way": name, "requests/s": per_second, "requests": len(each.outcomes)}
            | {f"{percent} ms": value for percent, value in percentiles_ms(times).items()}
            | {"max ms": round(1000 * max(times, default=0.0), 1)}
            | processor[name]
            | each.shares()
        )
    return rows


def goal_of(gateway: Measured, per_second: int) -> Goal:
    """Judge the 99th percentile and the errors."""
    p99_ms = percentiles_ms(totals(gateway.outcomes))["p99"]
    failed = sum(outcome.error is not None for outcome in gateway.outcomes)
    text = f"{per_second} requests/s for one process: p99 <= {GOAL_P99_MS:g} ms, no error"
    return Goal(text, f"{p99_ms:.1f} ms, {failed} failed", p99_ms <= GOAL_P99_MS and failed == 0)
