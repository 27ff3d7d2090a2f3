"""One decision by the number of regions: its time, its log line, and what the whole request costs beside it.

Knows: the goals; that a log line holds what was decided on, so that it can be decided again.
Does not know: how regions are scored.
"""

from __future__ import annotations

import json
import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

import uvloop
from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import closed_loop, failures, request_of
from clients.outcomes import Outcome
from parts.part import Goal, Options, Result, Row
from sides.processes import Meter, split_cores
from sides.scenario import Scenario, model_name
from sides.ways import GATEWAY, Ways, opened
from voxfleet_gateway.decisions.record import from_json
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import decide

REGIONS = (1, 3, 32)
IN_FLIGHT = 4
GOAL_REGIONS, GOAL_MICROSECONDS, GOAL_LINE_BYTES = 32, 50.0, 4096
REPEATS, TIMED_CALLS = 7, 300


def run(options: Options) -> Result:
    """Measure every number of regions, all of them awake."""
    cores, result = split_cores(options.available), Result("decisions")
    requests = options.pick(1500, 20)
    for regions in REGIONS if options.profile is None else REGIONS[-1:]:  # a profile is of one process
        with opened(Scenario(regions=regions), cores, has_nginx=False, profile=options.profile) as ways:
            meter = Meter(ways.pids())
            outcomes: list[Outcome] = uvloop.run(measure(ways, meter, requests))
            lines = request_lines(ways.gateway.logs[0].read_text(encoding="utf-8"))
        if not lines:
            raise SystemExit(f"no request was decided at {regions} regions: {failures(outcomes)}")
        kept, changed = decide_microseconds(json.loads(lines[-1]))
        longest = max(len(line.encode()) + 1 for line in lines)
        spent_seconds = meter.spent_seconds[GATEWAY]
        result.rows.append(row_of(regions, (kept, changed), longest, spent_seconds, outcomes))
        if regions == GOAL_REGIONS:
            result.goals += goals_of(kept, longest)
    return result


async def measure(ways: Ways, meter: Meter, requests: int) -> list[Outcome]:
    """Send requests, whose log lines hold their decisions."""
    pool, request = Pool(ways.gateway.ports), request_of(model_name(0), SpokenText(chunks=1))
    await closed_loop(pool, request, 2 * IN_FLIGHT, IN_FLIGHT)
    with meter.measuring():
        outcomes = await closed_loop(pool, request, requests, IN_FLIGHT)
    pool.close()
    return outcomes


def request_lines(log: str) -> list[str]:
    """Return the lines of requests that hold a decision."""
    return [line for line in log.splitlines() if '"event":"request"' in line and '"decision":' in line]


def decide_microseconds(line: dict[str, Any]) -> tuple[float, float]:
    """Decide a recorded request again and again; return the processor times of a decision.

    The first is of one on standings that are kept, as most are; the second of one after every region has changed.
    """
    record = from_json(line).record
    kept, views, asked = record.standings, record.views, record.route_request
    return _microseconds(lambda: decide(kept, asked)), _microseconds(lambda: decide(stand_all(views), asked))


def _microseconds(call: Callable[[], object]) -> float:
    timer = timeit.Timer(call, timer=time.process_time)
    return statistics.median(timer.repeat(REPEATS, TIMED_CALLS)) / TIMED_CALLS * 1e6


def row_of(
    regions: int, microseconds: tuple[float, float], longest: int, spent_seconds: float, outcomes: Sequence[Outcome]
) -> Row:
    """Return the row of one number of regions."""
    return {
        "regions": regions,
        "requests": len(outcomes),
        "decide us": round(microseconds[0], 1),
        "after all changed us": round(microseconds[1], 1),
        "longest log line bytes": longest,
        "processor ms per request": round(1000 * spent_seconds / len(outcomes), 3),
        "failed": failures(outcomes) or 0,
    }


def goals_of(microseconds: float, longest: int) -> list[Goal]:
    """Judge time and length at 32 regions."""
    return [
        Goal(
            f"decision at {GOAL_REGIONS} regions <= {GOAL_MICROSECONDS:g} us",
            f"{microseconds:.1f} us",
            microseconds <= GOAL_MICROSECONDS,
        ),
        Goal(
            f"log line at {GOAL_REGIONS} regions < {GOAL_LINE_BYTES} bytes",
            f"{longest} bytes",
            longest < GOAL_LINE_BYTES,
        ),
    ]
