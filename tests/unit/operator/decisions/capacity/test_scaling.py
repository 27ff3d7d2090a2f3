"""How many replicas an awake region has: growing at once, shrinking only when it is safe."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.scaling import (
    awake_replicas,
    clamped,
    replicas_for_demand,
    replicas_to_record,
)
from voxfleet_operator.decisions.observed import LoadState
from voxfleet_operator.resources import Autoscaling

AUTOSCALING = Autoscaling(min_replicas=0, max_replicas=4, target_requests_per_replica=16)


def test_open_and_held_requests_count_and_the_bounds_hold() -> None:
    assert replicas_for_demand(LoadState(open_requests=16, held_requests=1), AUTOSCALING) == 2
    assert replicas_for_demand(LoadState(), AUTOSCALING) == 1
    assert replicas_for_demand(LoadState(held_requests=1000), AUTOSCALING) == 4


def test_growing_is_immediate() -> None:
    assert awake_replicas(1, 1, LoadState(held_requests=40), AUTOSCALING) == 3


def test_shrinking_waits_for_the_stabilization_window() -> None:
    assert awake_replicas(3, 3, LoadState(), AUTOSCALING) == 3
    assert awake_replicas(3, 1, LoadState(open_requests=1), AUTOSCALING) == 1
    assert awake_replicas(3, 1, LoadState(), AUTOSCALING) == 1


def unknown(**fields: int) -> LoadState:
    return LoadState(unknown_reason="gateway 10.0.0.9 does not answer", **fields)


def test_unknown_load_removes_no_replica_and_grows_for_the_demand_that_is_known() -> None:
    assert awake_replicas(3, 1, unknown(), AUTOSCALING) == 3
    assert awake_replicas(1, 1, unknown(held_requests=40), AUTOSCALING) == 3


def test_unknown_load_is_recorded_as_the_present_replicas() -> None:
    assert replicas_to_record(4, unknown(), AUTOSCALING) == 4
    assert replicas_to_record(1, unknown(held_requests=40), AUTOSCALING) == 3
    assert replicas_to_record(4, LoadState(), AUTOSCALING) == 1


loads = st.builds(LoadState, unknown_reason=st.sampled_from(["", "silent"]), held_requests=st.integers(0, 70))


@given(st.lists(loads, min_size=1, max_size=40), st.integers(1, 4))
def test_property_replicas_shrink_only_after_a_whole_window_of_known_load(seen: list[LoadState], first: int) -> None:
    """A window of five moments, and one reading at each."""
    replicas, recorded = first, [first] * 5
    for index, load in enumerate(seen):
        recorded = [*recorded[1:], replicas_to_record(replicas, load, AUTOSCALING)]
        goal = awake_replicas(replicas, max(recorded), load, AUTOSCALING)
        if goal < replicas:
            window = seen[max(0, index - 4) : index + 1]
            assert len(window) == 5
            assert all(each.is_known for each in window)
            assert all(replicas_for_demand(each, AUTOSCALING) <= goal for each in window)
        replicas = goal


@given(st.integers(0, 2000), st.integers(0, 8), st.integers(1, 8))
def test_property_an_awake_region_has_at_least_one_replica(replicas: int, least: int, most: int) -> None:
    bounds = Autoscaling(min_replicas=min(least, most), max_replicas=most)
    assert max(1, bounds.min_replicas) <= clamped(replicas, bounds) <= most
