"""How many replicas an awake region has: growing at once, shrinking only when it is safe."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.observed import LoadState
from voxfleet_operator.decisions.scaling import awake_replicas, clamped, replicas_for_demand
from voxfleet_operator.resources import Autoscaling

AUTOSCALING = Autoscaling(min_replicas=0, max_replicas=4, target_requests_per_replica=16)


def test_open_and_held_requests_count_and_the_bounds_hold() -> None:
    assert replicas_for_demand(LoadState(open_requests=16, held_requests=1), AUTOSCALING) == 2
    assert replicas_for_demand(LoadState(), AUTOSCALING) == 1
    assert replicas_for_demand(LoadState(held_requests=1000), AUTOSCALING) == 4


def test_growing_is_immediate() -> None:
    assert awake_replicas(1, 1, LoadState(held_requests=40), AUTOSCALING) == 3


def test_shrinking_waits_for_the_stabilization_window_and_for_open_requests() -> None:
    assert awake_replicas(3, 3, LoadState(), AUTOSCALING) == 3
    assert awake_replicas(3, 1, LoadState(open_requests=1), AUTOSCALING) == 3
    assert awake_replicas(3, 1, LoadState(), AUTOSCALING) == 1


def test_unknown_load_changes_nothing() -> None:
    assert awake_replicas(3, 1, LoadState(unknown_reason="no gateway is ready"), AUTOSCALING) == 3


@given(st.integers(0, 2000), st.integers(0, 8), st.integers(1, 8))
def test_property_an_awake_region_has_at_least_one_replica(replicas: int, least: int, most: int) -> None:
    bounds = Autoscaling(min_replicas=min(least, most), max_replicas=most)
    assert max(1, bounds.min_replicas) <= clamped(replicas, bounds) <= most
