"""Hours of spot nodes that come, stay away and are reclaimed, simulated with ReplicaSets and a scheduler."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.explanation import capacity_message, capacity_warnings
from voxfleet_operator.decisions.capacity.pools import PoolReplicas, base_of, divide, next_change_at, spot_state
from voxfleet_operator.decisions.capacity.scale_up import AutoscalerEvent, scale_up_after
from voxfleet_operator.decisions.observed import LocalState, PodState, RegionState, WorkloadState
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT, POOLS
from voxfleet_operator.resources import Autoscaling, Capacity, SpotUse

START = 1_795_000_000.0
STEP_SECONDS = 15.0
NODE_SECONDS = 45.0  # from a pending pod to its node
LOAD_SECONDS = 30.0
QUIET_SECONDS = 600.0


@dataclass
class Cluster:
    """One region: Deployments, their pods, and nodes that come where capacity is available.

    `speaks`: the autoscaler says for each pod whether a node comes, as Karpenter does.
    """

    capacity: Capacity
    replicas: int
    now: float = START
    pools: PoolReplicas = field(default_factory=PoolReplicas)
    pods: list[PodState] = field(default_factory=list)
    reclaimed_at: float | None = None
    made: int = 0
    speaks: bool = False

    def observed(self) -> RegionState:
        workloads = tuple(WorkloadState(self.pools.of(pool), pool=pool) for pool in POOLS)
        return RegionState(
            "eu",
            1,
            Autoscaling(),
            capacity=self.capacity,
            spot_quiet_seconds=QUIET_SECONDS,
            pods=tuple(self.pods),
            workloads=workloads,
            local=LocalState(spot_reclaimed_at=self.reclaimed_at),
        )

    def of(self, pool: str) -> list[PodState]:
        return [pod for pod in self.pods if pod.pool == pool]

    @property
    def ready(self) -> int:
        return sum(pod.ready_at is not None for pod in self.pods)

    @property
    def with_a_node(self) -> int:
        return sum(pod.scheduled_at is not None for pod in self.pods)

    def decide(self) -> None:
        """What the operator does at any event; nothing but the cluster itself is remembered."""
        observed, ready_before = self.observed(), self.ready
        self.pools = divide(self.replicas, self.capacity, spot_state(observed, self.now))
        for pool in POOLS:
            self._scale(pool, self.pools.of(pool))
        assert self.ready >= min(self.replicas, ready_before), "a decision ended a server that was needed"
        assert self.with_a_node <= self.replicas + 1, "more than one handover"
        soon, change_at = self.now + 1, next_change_at(observed, self.now)
        if change_at is None or change_at > soon:
            assert self._texts(observed, self.now) == self._texts(observed, soon), "a text changes with time alone"

    def _texts(self, observed: RegionState, now: float) -> tuple[str, list[tuple[str, str]]]:
        return capacity_message(observed, self.replicas, now), capacity_warnings(observed, now)

    def _scale(self, pool: str, replicas: int) -> None:
        """A ReplicaSet deletes pods without a node first, then those that are not ready, then the newest."""
        pods = self.of(pool)
        surplus = sorted(
            pods, key=lambda pod: (pod.scheduled_at is not None, pod.ready_at is not None, -pod.created_at)
        )
        for pod in surplus[: max(len(pods) - replicas, 0)]:
            self.pods.remove(pod)
        for _ in range(replicas - len(pods)):
            self.made += 1
            self.pods.append(PodState("default", f"p{self.made}", "narrator", "eu", created_at=self.now, pool=pool))

    def step(self, *, has_spot: bool, reclaims: bool) -> None:
        """Let time pass, and decide after each event."""
        self.now += STEP_SECONDS
        spot_on_nodes = [pod for pod in self.of(POOL_SPOT) if pod.scheduled_at is not None]
        if reclaims and spot_on_nodes:
            self.pods.remove(spot_on_nodes[0])
            self.reclaimed_at = self.now
            self.decide()
        if self.speaks:
            self.pods = [self._spoken_of(pod, has_spot=has_spot) for pod in self.pods]
            self.decide()
        for pod in list(self.pods):
            if pod in self.pods and self._advance(pod, has_spot=has_spot):
                self.decide()
        self.decide()

    def _spoken_of(self, pod: PodState, *, has_spot: bool) -> PodState:
        if pod.pool != POOL_SPOT or pod.scheduled_at is not None:
            return pod
        reason = "Nominated" if has_spot else "FailedScheduling"
        return replace(
            pod, scale_up=scale_up_after(pod.scale_up, AutoscalerEvent(reason, "karpenter", self.now, self.now))
        )

    def _advance(self, pod: PodState, *, has_spot: bool) -> bool:
        """Give a pod its node, or let it become ready, when it is time; return whether it changed."""
        after = pod
        if pod.scheduled_at is None:
            is_available = has_spot or pod.pool == POOL_ON_DEMAND
            if is_available and self.now - pod.created_at >= NODE_SECONDS:
                after = replace(pod, scheduled_at=self.now)
        elif pod.ready_at is None and self.now - pod.scheduled_at >= LOAD_SECONDS:
            after = replace(pod, ready_at=self.now)
        self.pods[self.pods.index(pod)] = after
        return after != pod


def run(cluster: Cluster, seconds: float, *, has_spot: bool, reclaims: Iterator[bool] | None = None) -> None:
    for _ in range(int(seconds / STEP_SECONDS)):
        cluster.step(has_spot=has_spot, reclaims=next(reclaims, False) if reclaims else False)


capacities = st.builds(Capacity, spot=st.sampled_from(SpotUse), on_demand_base=st.integers(0, 2))
# (seconds, spot nodes are available, one of so many steps reclaims a node)
periods = st.lists(
    st.tuples(st.integers(60, 3600), st.booleans(), st.sampled_from([0, 0, 7, 40])), min_size=1, max_size=4
)


def reclaims_every(steps: int) -> Iterator[bool]:
    number = 0
    while True:
        number += 1
        yield bool(steps) and number % steps == 0


def settle_seconds(replicas: int) -> float:
    """The quiet time, and one handover after another."""
    return QUIET_SECONDS + (replicas + 2) * (NODE_SECONDS + LOAD_SECONDS + 4 * STEP_SECONDS)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), capacities, periods, st.booleans())
def test_property_hours_of_droughts_end_where_the_spec_wants_the_replicas(
    replicas: int,
    capacity: Capacity,
    times: list[tuple[int, bool, int]],
    speaks: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    cluster = Cluster(capacity, replicas, speaks=speaks)
    cluster.decide()
    for seconds, has_spot, every in times:
        run(cluster, seconds, has_spot=has_spot, reclaims=reclaims_every(every))
    run(cluster, settle_seconds(replicas), has_spot=True)
    base = base_of(replicas, capacity)
    assert cluster.pools == PoolReplicas(base, replicas - base)
    assert cluster.ready == replicas


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2))
def test_property_a_drought_is_covered_within_the_fallback_time(replicas: int, base: int) -> None:
    capacity = Capacity(spot=SpotUse.PREFERRED, on_demand_base=base)
    cluster = Cluster(capacity, replicas)
    cluster.decide()
    longest = capacity.spot_fallback_seconds + NODE_SECONDS + LOAD_SECONDS + 3 * STEP_SECONDS
    run(cluster, longest, has_spot=False)
    assert cluster.ready == replicas
    probes = [pod for pod in cluster.of(POOL_SPOT) if pod.scheduled_at is None]
    assert len(probes) == (1 if replicas > base else 0)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2))
def test_property_a_wake_buys_one_node_per_replica_while_the_autoscaler_adds_them(replicas: int, base: int) -> None:
    """Nodes take longer than wakeFallbackSeconds."""
    capacity = Capacity(spot=SpotUse.PREFERRED, on_demand_base=base)
    assert capacity.wake_fallback_seconds < NODE_SECONDS
    cluster = Cluster(capacity, replicas, speaks=True)
    cluster.decide()
    run(cluster, NODE_SECONDS + LOAD_SECONDS + 3 * STEP_SECONDS, has_spot=True)
    assert (cluster.ready, cluster.made) == (replicas, replicas)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4))
def test_property_a_refusal_is_covered_before_the_fallback_time(replicas: int) -> None:
    capacity = Capacity(spot=SpotUse.PREFERRED, spot_fallback_seconds=3600, wake_fallback_seconds=3600)
    cluster = Cluster(capacity, replicas, speaks=True)
    cluster.decide()
    run(cluster, STEP_SECONDS, has_spot=False)
    assert cluster.pools == PoolReplicas(replicas, 1)


USES = [Capacity(spot=use, on_demand_base=base) for use in SpotUse for base in (0, 2)]


@pytest.mark.parametrize("before", USES, ids=lambda each: f"{each.spot}-{each.on_demand_base}")
def test_every_change_of_the_spec_is_handed_over_one_by_one(before: Capacity) -> None:
    """`Cluster.decide` checks that no server that is needed ends, and that one replica more is the most."""
    for after in USES:
        cluster = Cluster(before, 3)
        cluster.decide()
        run(cluster, 200, has_spot=True)
        assert cluster.ready == 3
        cluster.capacity = after
        for _ in range(int(settle_seconds(3) / STEP_SECONDS)):
            cluster.step(has_spot=True, reclaims=False)
            assert cluster.ready >= 3
        base = base_of(3, after)
        assert cluster.pools == PoolReplicas(base, 3 - base)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.lists(st.tuples(capacities, st.integers(1, 4), st.booleans()), min_size=1, max_size=4))
def test_property_changes_of_the_spec_and_of_demand_are_handed_over(
    replicas: int, changes: list[tuple[Capacity, int, bool]]
) -> None:
    """Each change meets a settled or an unfinished cluster; the last one is reached."""
    cluster = Cluster(Capacity(), replicas)
    cluster.decide()
    run(cluster, 200, has_spot=True)
    for capacity, wanted, has_time in changes:
        # Fewer replicas end more servers than one at a time: the bound of the handover counts from then on.
        cluster.capacity, cluster.replicas = capacity, wanted
        cluster.decide()
        run(cluster, settle_seconds(wanted) if has_time else 60, has_spot=True)
    run(cluster, settle_seconds(cluster.replicas), has_spot=True)
    base = base_of(cluster.replicas, cluster.capacity)
    assert cluster.pools == PoolReplicas(base, cluster.replicas - base)
    assert cluster.ready == cluster.replicas
