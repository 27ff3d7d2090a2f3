"""An hour of demand on the whole reconcile loop: how often the replicas of a region change."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_operator.decisions.demand.load import GatewayLoad, Reading, Readings

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

POLL_SECONDS = 5
WINDOW_SECONDS = 300
TARGET = 16
ROW = {"namespace": "default", "name": "narrator", "region": "eu"}


def report(loop: Loop, open_requests: int | None) -> None:
    """One gateway's answer; None: it does not answer."""
    if open_requests is None:
        loop.report_silence()
        return
    pod = {**ROW, "address": "10.9.9.9", "age_seconds": 0, "load": {"open_requests": min(open_requests, TARGET)}}
    model = {**ROW, "open_requests": open_requests}
    answer = GatewayLoad.model_validate({"gateway": "gw-0", "models": [model], "pods": [pod]})
    loop.observer.readings = Readings((Reading("gw-0", loop.now, answer),))


async def replicas_over_an_hour(loop: Loop, demand: Callable[[int], int | None]) -> list[int]:
    loop.create(autoscaling={"targetRequestsPerReplica": TARGET, "scaleDownStabilizationSeconds": WINDOW_SECONDS})
    await loop.reconcile()
    loop.renew()
    await loop.reconcile()
    loop.add_ready_pod()
    seen = []
    for second in range(0, 3600, POLL_SECONDS):
        loop.now += POLL_SECONDS
        if second % 30 == 0:
            loop.renew()
        report(loop, demand(second))
        await loop.reconcile()
        seen.append(loop.object("Deployment")["spec"]["replicas"])
    return seen


def changes(seen: list[int]) -> list[tuple[int, int]]:
    return [(before, after) for before, after in itertools.pairwise(seen) if before != after]


@pytest.mark.parametrize("period", [10, 60, 240])
async def test_demand_that_oscillates_around_a_threshold_changes_the_replicas_once(loop: Loop, period: int) -> None:
    seen = await replicas_over_an_hour(loop, lambda second: TARGET + 1 if second % period < period / 2 else TARGET - 1)
    assert set(seen) <= {1, 2}
    assert len(changes(seen)) <= 1
    assert seen[-1] == 2


async def test_slower_swings_shrink_once_each_after_the_whole_window(loop: Loop) -> None:
    seen = await replicas_over_an_hour(loop, lambda second: 40 if second % 1200 < 600 else 2)
    assert set(changes(seen)) == {(3, 1), (1, 3)}
    lows = [index * POLL_SECONDS for index, (before, after) in enumerate(itertools.pairwise(seen)) if after < before]
    assert [round(at / 1200, 2) for at in lows] == [0.75, 1.75, 2.75], "five minutes after the demand fell"


async def test_silence_removes_no_replica_and_a_reading_after_it_starts_the_window_anew(loop: Loop) -> None:
    def demand(second: int) -> int | None:
        if second < 60:
            return 40
        return None if second < 1800 else 2

    seen = await replicas_over_an_hour(loop, demand)
    assert changes(seen) == [(3, 1)]
    assert seen[(1800 + WINDOW_SECONDS) // POLL_SECONDS - 3] == 3
