"""On demand and spot: the fallback, the way back, and a simulated hour of spot nodes that come and go."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.pools import (
    PoolReplicas,
    SpotState,
    divide,
    late_at,
    next_change_at,
    pools_of,
    spot_state,
)
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.observed import LocalState, PodState, RegionState, WorkloadState
from voxfleet_operator.resources import Autoscaling, Capacity, SpotUse

NOW = 1_795_000_000.0
PREFERRED = Capacity(spot=SpotUse.PREFERRED)
REQUIRED = Capacity(spot=SpotUse.REQUIRED)


def test_never_is_all_on_demand() -> None:
    assert divide(3, Capacity(), SpotState(starting=1, waiting=2)) == PoolReplicas(on_demand=3)


def test_spot_that_is_switched_off_is_handed_over_one_by_one() -> None:
    def after(ready: int, on_demand_ready: int) -> PoolReplicas:
        return divide(3, Capacity(), SpotState(ready=ready, on_demand_ready=on_demand_ready))

    assert after(3, 0) == PoolReplicas(1, 3)
    assert after(3, 1) == PoolReplicas(2, 2)
    assert after(2, 1) == PoolReplicas(2, 2), "the next one is not ready yet"
    assert after(1, 2) == PoolReplicas(3, 1)
    assert after(1, 3) == PoolReplicas(3, 0)


def test_a_larger_base_is_ready_before_spot_ends() -> None:
    capacity = PREFERRED.model_copy(update={"on_demand_base": 1})
    assert divide(3, capacity, SpotState(ready=3)) == PoolReplicas(1, 3)
    assert divide(3, capacity, SpotState(ready=3, on_demand_replicas=1, on_demand_ready=1)) == PoolReplicas(1, 2)


def test_the_base_is_on_demand_and_the_rest_on_spot() -> None:
    capacity = PREFERRED.model_copy(update={"on_demand_base": 1})
    assert divide(3, capacity, SpotState()) == PoolReplicas(1, 2)
    assert divide(1, capacity, SpotState()) == PoolReplicas(1, 0)
    assert divide(0, capacity, SpotState()) == PoolReplicas()


def test_late_spot_pods_are_covered_on_demand_and_one_stays_as_the_probe() -> None:
    assert divide(3, PREFERRED, SpotState(waiting=3)) == PoolReplicas(0, 3), "nodes are still expected"
    assert divide(3, PREFERRED, SpotState(late=3)) == PoolReplicas(3, 1)
    assert divide(3, PREFERRED, SpotState(ready=2, late=1)) == PoolReplicas(1, 3)


def test_a_pool_has_a_deployment_only_where_capacity_needs_it() -> None:
    assert pools_of(Capacity()) == ("ondemand",)
    assert pools_of(PREFERRED) == ("ondemand", "spot")
    assert pools_of(Capacity(spot=SpotUse.REQUIRED)) == ("spot",)
    assert pools_of(Capacity(spot=SpotUse.REQUIRED, on_demand_base=1)) == ("ondemand", "spot")


def test_pods_that_are_not_late_keep_their_time_when_another_is() -> None:
    assert divide(3, PREFERRED, SpotState(waiting=2, late=1)) == PoolReplicas(1, 3)
    assert divide(3, PREFERRED, SpotState(waiting=1, late=2)) == PoolReplicas(2, 2)


def test_required_waits() -> None:
    assert divide(3, REQUIRED.model_copy(update={"on_demand_base": 1}), SpotState(late=2)) == PoolReplicas(1, 2)


def test_required_ends_on_demand_servers_when_spot_replaces_them() -> None:
    def after(ready: int, on_demand: int, late: int = 0) -> PoolReplicas:
        return divide(3, REQUIRED, SpotState(ready=ready, late=late, is_quiet=False, on_demand_replicas=on_demand))

    assert after(0, 3) == PoolReplicas(3, 1)
    assert after(0, 3, late=1) == PoolReplicas(3, 1), "without a spot node they stay"
    assert after(1, 3) == PoolReplicas(2, 2)
    assert after(3, 1) == PoolReplicas(0, 3)


def test_on_demand_is_given_back_one_by_one_as_spot_pods_are_ready() -> None:
    def after(ready: int, starting: int, on_demand: int) -> PoolReplicas:
        return divide(3, PREFERRED, SpotState(ready=ready, starting=starting, on_demand_replicas=on_demand))

    assert after(0, 1, 3) == PoolReplicas(3, 1), "the probe has a node: it takes over when it is ready"
    assert after(1, 0, 3) == PoolReplicas(2, 2)
    assert after(1, 1, 2) == PoolReplicas(2, 2)
    assert after(3, 0, 1) == PoolReplicas(0, 3)


def test_nothing_is_given_back_within_ten_minutes_of_a_reclaim() -> None:
    noisy = SpotState(ready=1, is_quiet=False, on_demand_replicas=3)
    assert divide(3, PREFERRED, noisy) == PoolReplicas(3, 1)


def spot_pod(**fields: object) -> PodState:
    base = PodState("default", "p", "narrator", "eu", created_at=NOW, pool="spot")
    return replace(base, **fields)  # type: ignore[arg-type]


def region(*pods: PodState, reclaimed_at: float | None = None) -> RegionState:
    return RegionState(
        "eu",
        1,
        Autoscaling(),
        capacity=PREFERRED,
        pods=pods,
        local=LocalState(spot_reclaimed_at=reclaimed_at),
        workloads=(WorkloadState(2), WorkloadState(3, pool="spot")),
    )


def test_a_pod_is_late_after_20_seconds_at_a_wake_and_after_120_while_another_serves() -> None:
    serving = PodState("default", "q", "narrator", "eu", created_at=NOW, ready_at=NOW)
    for pods, limit in (((spot_pod(),), 20), ((spot_pod(), serving), 120)):
        seen = region(*pods)
        assert next_change_at(seen, NOW) == NOW + limit
        assert spot_state(seen, NOW + limit - 1).waiting == 1
        assert spot_state(seen, NOW + limit).late == 1
        assert next_change_at(seen, NOW + limit) is None


COMES, NONE = (ScaleUpState(is_coming, NOW + 5, "karpenter") for is_coming in (True, False))


@pytest.mark.parametrize(
    ("said", "is_serving", "late_after_seconds"),
    [(None, False, 20), (None, True, 120), (COMES, False, 185), (COMES, True, 185), (NONE, False, 5), (NONE, True, 5)],
)
def test_a_pod_is_late_as_its_autoscaler_says(
    said: ScaleUpState | None,
    is_serving: bool,  # noqa: FBT001 - a column of the table
    late_after_seconds: int,
) -> None:
    serving = (PodState("default", "q", "narrator", "eu", created_at=NOW, ready_at=NOW),) if is_serving else ()
    seen = region(spot_pod(scale_up=said), *serving)
    assert late_at(seen.pods[0], seen) == NOW + late_after_seconds
    assert spot_state(seen, NOW + late_after_seconds - 1).waiting == 1
    assert spot_state(seen, NOW + late_after_seconds).late == 1
    assert next_change_at(seen, NOW) == NOW + late_after_seconds


words = st.none() | st.builds(ScaleUpState, st.booleans(), st.floats(NOW, NOW + 600), st.just("karpenter"))


@given(words, st.floats(0, 600), st.integers(5, 3600), st.booleans())
def test_property_no_word_makes_a_pod_wait_for_ever(
    said: ScaleUpState | None,
    boot_seconds: float,
    limit_seconds: int,
    is_serving: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    serving = (PodState("default", "q", "narrator", "eu", created_at=NOW, ready_at=NOW),) if is_serving else ()
    capacity = PREFERRED.model_copy(
        update={"spot_fallback_seconds": limit_seconds, "wake_fallback_seconds": limit_seconds}
    )
    seen = replace(region(spot_pod(scale_up=said), *serving), capacity=capacity, node_boot_seconds=boot_seconds)
    at, without_words = late_at(seen.pods[0], seen), NOW + limit_seconds
    assert at <= max(without_words, said.since + boot_seconds if said else 0)
    if said is None or said.is_coming:
        assert at >= without_words, "a promise shortens nothing"
    else:
        assert at <= without_words, "a refusal prolongs nothing"


def test_pods_that_leave_count_as_gone() -> None:
    pods = (spot_pod(ready_at=NOW, scheduled_at=NOW, disrupted_at=NOW), spot_pod(is_deleting=True), spot_pod())
    seen = spot_state(region(*pods, reclaimed_at=NOW), NOW)
    assert seen == SpotState(waiting=1, is_quiet=False, on_demand_replicas=2)
    assert spot_state(region(reclaimed_at=NOW - 600), NOW).is_quiet
    assert next_change_at(region(reclaimed_at=NOW - 100), NOW) == NOW + 500


capacities = st.builds(Capacity, spot=st.sampled_from(SpotUse), on_demand_base=st.integers(0, 4))
counts = st.integers(0, 6)
states = st.builds(SpotState, counts, counts, counts, counts, st.booleans(), counts, counts).map(
    lambda seen: replace(seen, on_demand_ready=min(seen.on_demand_ready, seen.on_demand_replicas))
)


@given(st.integers(0, 8), capacities, states)
def test_property_the_pools_have_every_replica_and_one_more_at_most(
    replicas: int, capacity: Capacity, seen: SpotState
) -> None:
    pools = divide(replicas, capacity, seen)
    assert min(pools.on_demand, pools.spot) >= 0
    assert replicas <= pools.on_demand + pools.spot <= replicas + (replicas > 0)


@given(st.integers(0, 8), capacities, states)
def test_property_no_division_ends_a_server_that_is_needed(replicas: int, capacity: Capacity, seen: SpotState) -> None:
    """A ReplicaSet deletes pods that are not ready first."""
    pools = divide(replicas, capacity, seen)
    still_ready = min(seen.ready, pools.spot) + min(seen.on_demand_ready, pools.on_demand)
    assert still_ready >= min(replicas, seen.ready + seen.on_demand_ready)


@given(st.integers(0, 8), capacities, states)
def test_property_required_starts_nothing_on_demand_beyond_the_base(
    replicas: int, capacity: Capacity, seen: SpotState
) -> None:
    required = capacity.model_copy(update={"spot": SpotUse.REQUIRED})
    assert divide(replicas, required, seen).on_demand <= max(capacity.on_demand_base, seen.on_demand_replicas)


@given(st.integers(1, 8), states)
def test_property_what_has_no_node_is_covered_once_a_pod_is_late(replicas: int, seen: SpotState) -> None:
    pools = divide(replicas, PREFERRED, seen)
    placed = seen.ready + seen.starting
    if seen.late:
        assert pools.on_demand + placed + seen.waiting >= replicas


@given(st.integers(1, 8), states)
def test_property_nothing_goes_back_to_spot_while_nodes_are_reclaimed(replicas: int, seen: SpotState) -> None:
    noisy = replace(seen, is_quiet=False, ready=min(seen.ready, 1), starting=0)
    assert divide(replicas, PREFERRED, noisy).on_demand >= min(seen.on_demand_replicas, replicas)


@given(st.integers(1, 8), st.integers(0, 4))
def test_property_spot_that_is_ready_and_quiet_is_all_there_is(replicas: int, base: int) -> None:
    capacity = PREFERRED.model_copy(update={"on_demand_base": base})
    on_demand = min(base, replicas)
    settled = SpotState(ready=replicas - on_demand, on_demand_replicas=replicas, on_demand_ready=replicas)
    assert divide(replicas, capacity, settled) == PoolReplicas(on_demand, replicas - on_demand)


# A step is a minute: a spot pod is late after two of them, a placed pod is ready after one.
minutes = st.lists(st.booleans(), min_size=1, max_size=60)


@settings(deadline=None)
@given(st.integers(1, 5), minutes)
def test_property_a_fallback_ends_on_spot_and_no_handover_loses_a_replica(replicas: int, has_spot: list[bool]) -> None:
    """Spot nodes are given out in some minutes; the last ten minutes always have them."""
    waiting: list[int] = []  # minutes that each spot pod has waited for a node
    starting = ready = on_demand = on_demand_ready = 0
    has_served = False
    for available in [*has_spot, *([True] * (2 * replicas + 4))]:
        late = sum(waited >= 2 for waited in waiting)
        seen = SpotState(ready, starting, len(waiting) - late, late, on_demand_replicas=on_demand)
        pools = divide(replicas, PREFERRED, seen)
        # A ReplicaSet deletes pods without a node first.
        waiting = [waited + 1 for waited in waiting][: max(pools.spot - ready - starting, 0)]
        waiting += [0] * max(pools.spot - ready - starting - len(waiting), 0)
        on_demand, on_demand_ready = pools.on_demand, min(on_demand_ready, pools.on_demand)
        serving = ready + on_demand_ready
        assert serving >= replicas or not has_served, "a handover lost a replica"
        ready, starting = ready + starting, len(waiting) if available else 0
        waiting = [] if available else waiting
        on_demand_ready = on_demand
        has_served = has_served or ready + on_demand_ready >= replicas
    assert (on_demand, ready) == (0, replicas)
