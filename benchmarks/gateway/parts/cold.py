"""Requests to regions that are asleep, whose pods are ready a second after the renewal of their Lease.

Knows: the goal, and the arrivals at each region. Does not know: how the gateway wakes and holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import uvloop
from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import at_times, failures, request_of
from clients.outcomes import Outcome, first_bytes, percentile
from parts.part import Goal, Options, Result, Row
from sides.processes import Meter, split_cores
from sides.scenario import Scenario, model_name
from sides.ways import GATEWAY, Ways, opened

WAKE_SECONDS = 1.0
PER_WAKE = 10  # requests of one region, which arrive within a wake
WAKE_APART_SECONDS = 0.1
GOAL_MEAN_SECONDS = 3.0


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """When a request is due, and which region it wakes or waits for."""

    due_seconds: float
    region: int
    is_first: bool

    def request(self) -> bytes:
        """Return its bytes."""
        return request_of(model_name(self.region), SpokenText(chunks=1))


def arrivals(wakes: int) -> list[Arrival]:
    """Return every request in order: those of one region are spread over its wake, so that most are held."""
    return sorted(
        Arrival(WAKE_APART_SECONDS * region + WAKE_SECONDS * number / PER_WAKE, region, is_first=number == 0)
        for region in range(wakes)
        for number in range(PER_WAKE)
    )


def run(options: Options) -> Result:
    """Wake so many regions, each once."""
    cores, expected = split_cores(options.available), arrivals(options.pick(100, 4))
    scenario = Scenario(models=len(expected) // PER_WAKE, is_asleep=True, wake_seconds=WAKE_SECONDS)
    with opened(scenario, cores, has_nginx=False, profile=options.profile) as ways:
        meter = Meter(ways.pids())
        outcomes: list[Outcome] = uvloop.run(measure(ways, meter, expected))
    row = row_of(expected, outcomes, meter)
    result = Result("cold", [row])
    is_met = row["mean s"] <= GOAL_MEAN_SECONDS and not row["failed"]
    text = f"cold start, pods ready after {WAKE_SECONDS:g} s: first byte mean <= {GOAL_MEAN_SECONDS:g} s, no error"
    result.goals.append(Goal(text, f"{row['mean s']:.2f} s, {row['failed']} failed", is_met))
    result.note_load(result.rows, cores)
    return result


async def measure(ways: Ways, meter: Meter, expected: Sequence[Arrival]) -> list[Outcome]:
    """Send every request when it is due."""
    pool = Pool(ways.gateway.ports)
    with meter.measuring():
        outcomes = await at_times(pool, [(each.due_seconds, each.request()) for each in expected])
    pool.close()
    return outcomes


def row_of(expected: Sequence[Arrival], outcomes: Sequence[Outcome], meter: Meter) -> Row:
    """Return the only row: the first request of a wake waits for all of it, later ones for the rest."""
    times = first_bytes(outcomes)
    firsts = first_bytes(outcome for each, outcome in zip(expected, outcomes, strict=True) if each.is_first)
    return {
        "wakes": len(outcomes) // PER_WAKE,
        "requests": len(outcomes),
        "mean s": round(sum(times) / max(1, len(times)), 3),
        "p95 s": round(percentile(times, 95), 3),
        "max s": round(max(times, default=0.0), 3),
        "first of a wake, mean s": round(sum(firsts) / max(1, len(firsts)), 3),
        "first of a wake, max s": round(max(firsts, default=0.0), 3),
        "processor ms per request": round(1000 * meter.spent_seconds[GATEWAY] / len(outcomes), 3),
        "core share": meter.share(GATEWAY),
        "client share": meter.share("client"),
        "stub share": meter.share("stub"),
        "failed": failures(outcomes) or 0,
    }
