"""What a user reads about a region's capacity, in each state that has a reason of its own."""

from dataclasses import replace

import pytest
from voxfleet_operator.decisions.capacity.explanation import capacity_message, capacity_warnings
from voxfleet_operator.decisions.observed import LocalState, PodState, RegionState, WorkloadState
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Autoscaling, Capacity, SpotUse

NOW = 1_795_000_000.0
SINCE = to_rfc3339(NOW - 130)
SCHEDULER = "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector."


def pod(name: str, pool: str = "spot", **fields: object) -> PodState:
    base = PodState("default", name, "narrator", "eu", created_at=NOW - 130, pool=pool)
    return replace(base, **fields)  # type: ignore[arg-type]


def ready(name: str, pool: str = "spot") -> PodState:
    return pod(name, pool, ready_at=NOW - 10, scheduled_at=NOW - 50)


def waiting(name: str = "s", seconds: float = 130) -> PodState:
    return pod(name, created_at=NOW - seconds, unschedulable_message=SCHEDULER)


def region(
    use: SpotUse, *pods: PodState, base: int = 0, on_demand: int = 0, reclaimed_at: float | None = None
) -> RegionState:
    return RegionState(
        "eu",
        1,
        Autoscaling(),
        capacity=Capacity(spot=use, on_demand_base=base),
        pods=pods,
        local=LocalState(spot_reclaimed_at=reclaimed_at),
        workloads=(WorkloadState(on_demand), WorkloadState(1, pool="spot", region_replicas=3)),
    )


YOUNG, LIMIT = to_rfc3339(NOW - 30), "spotFallbackSeconds (120 s)"
LATE = f"pod s has no spot node since {SINCE}, longer than {LIMIT} ({SCHEDULER[:-1]})"
STATES: list[tuple[str, RegionState, str]] = [
    ("never", region(SpotUse.NEVER, ready("d", "ondemand"), on_demand=1), ""),
    (
        "switched off",
        region(SpotUse.NEVER, ready("s"), on_demand=1),
        "1 spot, 0 on demand: capacity.spot is Never: each server on spot ends when one on demand is ready",
    ),
    ("as asked", region(SpotUse.PREFERRED, ready("s"), ready("t")), "2 spot, 0 on demand"),
    (
        "base",
        region(SpotUse.PREFERRED, ready("s"), ready("d", "ondemand"), base=1, on_demand=1),
        "1 spot, 1 on demand: onDemandBase is 1",
    ),
    (
        "fallback",
        region(SpotUse.PREFERRED, ready("r"), waiting(), ready("d", "ondemand"), on_demand=1),
        f"1 spot, 1 on demand: {LATE}; that pod stays to find out when spot is back",
    ),
    (
        "not yet late",
        region(SpotUse.PREFERRED, ready("r"), waiting(seconds=30)),
        f"1 spot, 0 on demand: pod s waits for a spot node since {YOUNG}; on demand instead after {LIMIT}",
    ),
    (
        "reclaimed",
        region(SpotUse.PREFERRED, ready("s"), ready("d", "ondemand"), on_demand=2, reclaimed_at=NOW - 100),
        f"1 spot, 1 on demand: a spot node was reclaimed; back to spot from {to_rfc3339(NOW + 500)} on",
    ),
    (
        "going back",
        region(SpotUse.PREFERRED, ready("s"), ready("d", "ondemand"), on_demand=2),
        "1 spot, 1 on demand: going back to spot, one replica at a time: each on demand ends when one on spot is ready",
    ),
    (
        "required",
        region(SpotUse.REQUIRED, ready("r"), waiting()),
        f"1 spot, 0 on demand: capacity.spot is Required, and {LATE}",
    ),
    (
        "required, switched on",
        region(SpotUse.REQUIRED, ready("d", "ondemand"), on_demand=1),
        "0 spot, 1 on demand: capacity.spot is Required: each server on demand ends when one on spot is ready",
    ),
]


@pytest.mark.parametrize(("state", "observed", "text"), STATES, ids=[state[0] for state in STATES])
def test_a_region_says_where_its_servers_are_and_why(state: str, observed: RegionState, text: str) -> None:
    assert capacity_message(observed, 3, NOW) == text, state


def test_a_warning_names_the_field_what_was_seen_and_the_remedy() -> None:
    for use, outcome in ((SpotUse.PREFERRED, "on demand serves instead"), (SpotUse.REQUIRED, "set it to Preferred")):
        ((reason, text),) = capacity_warnings(region(use, ready("r"), waiting()), NOW)
        assert reason == "SpotUnavailable"
        for part in (f"region eu: capacity.spot is {use}", LATE, outcome, "voxfleet.dev/capacity-type=spot"):
            assert part in text
    assert capacity_warnings(region(SpotUse.PREFERRED, ready("r"), waiting(seconds=30)), NOW) == []


def test_a_warning_stays_when_the_probe_has_more_time_because_on_demand_serves() -> None:
    """At a wake a pod is late after 20 s, and the same pod after 120 s once a server is ready."""
    probe = waiting(seconds=60)
    before = region(SpotUse.PREFERRED, probe, on_demand=1)
    after = region(SpotUse.PREFERRED, probe, ready("d", "ondemand"), on_demand=1)
    assert [reason for reason, _ in capacity_warnings(before, NOW)] == ["SpotUnavailable"]
    assert [reason for reason, _ in capacity_warnings(after, NOW)] == ["SpotUnavailable"]
    back = replace(after, pods=(*after.pods, ready("s2")))
    assert capacity_warnings(back, NOW) == [], "spot is back: the next pod only waits for its turn"
