"""Which pods autoscalers leave alone, and how few writes that takes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.actions import Protect, Unprotect
from voxfleet_operator.decisions.capacity.protection import QUIET_SECONDS, protections
from voxfleet_operator.decisions.observed import (
    Leaving,
    LoadState,
    PodLoadState,
    PodState,
    RegionState,
)
from voxfleet_operator.resources import Autoscaling

NOW = 1_795_000_000.0
POD = PodState("default", "p", "narrator", "eu", NOW - 5000, address="10.0.0.1", scheduled_at=NOW, ready_at=NOW - 4000)
LEAVING = Leaving("node n: the node is cordoned", NOW)


def changes(pod: PodState, *, open_requests: int = 0, finished_at: float | None = None, now: float = NOW) -> list[type]:
    row = PodLoadState("10.0.0.1", now, open_requests, last_request_finished_at=finished_at)
    seen = RegionState("eu", 1, Autoscaling(), pods=(pod,), load=LoadState(pods=(row,)))
    return [type(action) for action in protections(seen, now)]


def protected(pod: PodState) -> PodState:
    return replace(pod, is_protected=True)


def test_a_pod_with_open_requests_is_protected_by_one_write() -> None:
    assert changes(POD, open_requests=1) == [Protect]
    assert changes(protected(POD), open_requests=1) == []


def test_a_pod_that_loads_keeps_what_it_was_created_with() -> None:
    assert changes(replace(protected(POD), ready_at=None)) == []
    assert changes(replace(POD, ready_at=None)) == [Protect], "created by an earlier version"


def test_it_is_taken_off_after_five_quiet_minutes() -> None:
    assert changes(protected(POD), finished_at=NOW - QUIET_SECONDS + 1) == []
    assert changes(protected(POD), finished_at=NOW - QUIET_SECONDS) == [Unprotect]
    assert changes(replace(protected(POD), ready_at=NOW - 10)) == [], "it has just become ready"
    assert changes(POD) == []


def test_a_pod_that_leaves_holds_its_node_only_while_requests_are_open() -> None:
    leaving = replace(protected(POD), leaving=LEAVING)
    assert changes(leaving, open_requests=1) == []
    assert changes(leaving, finished_at=NOW - 1) == [Unprotect]


def test_without_a_reading_nothing_is_taken_off() -> None:
    for pod in (protected(POD), replace(protected(POD), leaving=LEAVING)):
        seen = RegionState("eu", 1, Autoscaling(), pods=(pod,), load=LoadState(unknown_reason="silent"))
        assert protections(seen, NOW) == ()


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 3)), min_size=1, max_size=60))
def test_property_writes_are_bounded_by_time_and_not_by_requests(script: list[tuple[int, int]]) -> None:
    """A reading every `seconds`, with some requests open; a request ends by the next reading."""
    pod, now, finished_at, writes = protected(POD), NOW, NOW, 0
    for seconds, open_requests in script:
        now += seconds
        for change in changes(pod, open_requests=open_requests, finished_at=finished_at, now=now):
            writes += 1
            pod = replace(pod, is_protected=change is Protect)
        assert pod.is_protected or not open_requests
        finished_at = now if open_requests else finished_at
    assert writes <= 2 * (now - NOW) / QUIET_SECONDS + 1
