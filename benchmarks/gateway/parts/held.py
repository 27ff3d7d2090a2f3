"""What a request costs while its region wakes: memory, and processor time; and that each is served after it.

Knows: the arrivals. Does not know: how the gateway holds requests.
"""

from __future__ import annotations

import asyncio
import time

import uvloop
from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import at_times, evenly, failures, request_of
from clients.outcomes import first_bytes
from parts.part import Options, Result, Row
from sides.processes import processor_seconds, resident_bytes, split_cores
from sides.scenario import Scenario, model_name
from sides.ways import Ways, opened

SETTLE_SECONDS = 1.0  # after the last arrival
ARRIVAL_SECONDS = 2.0  # of each half


def run(options: Options) -> Result:
    """Hold half of the requests, then all: the second half costs no import and no first use."""
    cores = split_cores(options.available)
    requests = options.pick(1000, 40)
    wake_seconds = 2 * (ARRIVAL_SECONDS + SETTLE_SECONDS) + 2
    scenario = Scenario(pods=2, is_asleep=True, wake_seconds=wake_seconds)
    with opened(scenario, cores, has_nginx=False, profile=options.profile) as ways:
        row: Row = uvloop.run(measure(ways, requests))
    return Result("held", [row])


async def measure(ways: Ways, requests: int) -> Row:
    """Return the only row."""
    [pid], pool = ways.gateway.pids, Pool(ways.gateway.ports)
    request = request_of(model_name(0), SpokenText(chunks=1))
    half = evenly(request, requests / 2 / ARRIVAL_SECONDS, ARRIVAL_SECONDS)
    readings = [(resident_bytes(pid), processor_seconds(pid))]
    tasks = []
    for _ in range(2):
        tasks.append(asyncio.create_task(at_times(pool, half)))
        await asyncio.sleep(ARRIVAL_SECONDS + SETTLE_SECONDS)
        readings.append((resident_bytes(pid), processor_seconds(pid)))
    released_at, before = time.monotonic(), processor_seconds(pid)
    outcomes = [outcome for task in tasks for outcome in await task]
    released_at = max(released_at, min((each.first_at or released_at for each in outcomes), default=released_at))
    spent_seconds = processor_seconds(pid) - before
    pool.close()
    return {
        "requests": len(outcomes),
        "RSS before MiB": round(readings[0][0] / 2**20, 1),
        "RSS with all MiB": round(readings[2][0] / 2**20, 1),
        "KiB per held request": round((readings[2][0] - readings[1][0]) / 1024 / len(half), 1),
        "processor ms to hold one": round(1000 * (readings[2][1] - readings[1][1]) / len(half), 3),
        "processor ms to release and serve one": round(1000 * spent_seconds / len(outcomes), 3),
        "first to last served s": round(max(each.ended_at for each in outcomes) - released_at, 2),
        "served": len(first_bytes(outcomes)),
        "failed": failures(outcomes) or 0,
    }
