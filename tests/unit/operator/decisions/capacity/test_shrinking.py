"""Two-step shrinking and leaving nodes: single steps, and a simulated ReplicaSet that deletes as Kubernetes does."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_operator.decisions.actions import Action, Drain, MarkRetiring, PodRef, Undrain, UnmarkRetiring
from voxfleet_operator.decisions.capacity.pools import PoolReplicas
from voxfleet_operator.decisions.capacity.shrinking import FIRST_DELETION_COST, PoolState, next_steps, pool_step
from voxfleet_operator.decisions.observed import (
    Leaving,
    LoadState,
    PodLoadState,
    PodState,
    RegionState,
    WorkloadState,
)
from voxfleet_operator.resources import Autoscaling

NOW = 1_795_000_000.0
DRAIN_SECONDS = 120.0
CORDONED = Leaving("node n: the node is cordoned", NOW - 5)
RECLAIMED = Leaving("node n: EC2 reclaims the spot instance", NOW - 5, is_urgent=True)


def pod(name: str, **fields: object) -> PodState:
    base = PodState("default", name, "narrator", "eu", NOW - 500, scheduled_at=NOW - 490, ready_at=NOW - 450)
    return replace(base, address=name, **fields)  # type: ignore[arg-type]


def unplaced(name: str) -> PodState:
    return pod(name, scheduled_at=None, ready_at=None)


def loading(name: str) -> PodState:
    return pod(name, ready_at=None)


def retiring(name: str, number: int = 0, **fields: object) -> PodState:
    return pod(name, retiring_since=NOW - 10, deletion_cost=FIRST_DELETION_COST + number, **fields)


def drained(name: str, number: int = 0, **fields: object) -> PodState:
    return retiring(name, number, ready_at=None, **fields)


def pool(*pods: PodState, replicas: int, may_shrink: bool = True, **open_requests: int) -> PoolState:
    states = {each.name: "draining" if each.retiring_since and not each.is_ready else "ready" for each in pods}
    return PoolState(
        replicas,
        pods,
        {name: PodLoadState(name, NOW, open_requests.get(name, 0), state=state) for name, state in states.items()},
        DRAIN_SECONDS,
        may_shrink=may_shrink,
        has_staying_server=any(each.is_ready and not each.is_outgoing for each in pods),
    )


def names_of(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    return [(type(action).__name__, action.pod.name) for action in actions]  # type: ignore[union-attr]


def test_growing_is_immediate() -> None:
    assert pool_step(3, pool(pod("a"), replicas=1), NOW).replicas == 3


def test_the_pod_with_the_fewest_open_requests_is_marked_and_the_replicas_stay() -> None:
    step = pool_step(1, pool(pod("a"), pod("b"), pod("c"), replicas=3, a=2, b=5, c=0), NOW)
    assert step.replicas == 3
    assert step.actions == (
        MarkRetiring(PodRef("default", "c"), FIRST_DELETION_COST, NOW),
        MarkRetiring(PodRef("default", "a"), FIRST_DELETION_COST + 1, NOW),
    )


def test_a_marked_pod_is_drained_once_and_its_cost_is_set_once() -> None:
    step = pool_step(1, pool(pod("a"), retiring("b"), replicas=2, b=1), NOW)
    assert (step.replicas, step.actions) == (2, (Drain(PodRef("default", "b"), "b"),))
    assert pool_step(1, pool(pod("a"), drained("b"), replicas=2, b=1), NOW).actions == ()


def test_the_deployment_is_lowered_when_the_pod_is_unready_with_nothing_open_or_out_of_time() -> None:
    seen = pool(pod("a"), drained("b"), replicas=2, b=1)
    assert pool_step(1, seen, NOW).replicas == 2
    assert pool_step(1, seen, NOW + DRAIN_SECONDS).replicas == 1
    assert pool_step(1, pool(pod("a"), drained("b"), replicas=2), NOW).replicas == 1
    assert pool_step(1, pool(pod("a"), drained("b"), replicas=1), NOW).replicas == 1, "the ReplicaSet has yet to act"


def test_pods_that_finish_out_of_order_wait_for_the_one_that_is_deleted_first() -> None:
    seen = pool(pod("a"), drained("b", 0), drained("c", 1), replicas=3, b=1)
    assert pool_step(1, seen, NOW).replicas == 3
    seen = pool(pod("a"), drained("b", 0), drained("c", 1), replicas=3, c=1)
    assert pool_step(1, seen, NOW).replicas == 2


@pytest.mark.parametrize("other", [loading("x"), unplaced("x")])
def test_nothing_is_lowered_while_the_replicaset_would_delete_a_starting_pod(other: PodState) -> None:
    seen = pool(pod("a"), replace(drained("b"), leaving=RECLAIMED), other, replicas=3)
    assert pool_step(2, seen, NOW).replicas == 3


def test_no_pod_is_chosen_while_another_starts_or_load_is_unknown() -> None:
    assert pool_step(1, pool(pod("a"), pod("b"), loading("c"), replicas=3), NOW).actions == ()
    assert pool_step(1, pool(pod("a"), pod("b"), replicas=2, may_shrink=False), NOW).actions == ()


def test_replicas_without_a_node_go_at_once() -> None:
    assert pool_step(1, pool(pod("a"), unplaced("b"), replicas=3), NOW).replicas == 1
    unknown = pool(pod("a"), unplaced("b"), replicas=2, may_shrink=False)
    assert pool_step(1, unknown, NOW).replicas == 1, "it has no requests"


def test_a_pod_that_drains_is_taken_back_before_a_new_one_starts() -> None:
    step = pool_step(4, pool(pod("a"), drained("b", 0), drained("c", 1), replicas=3, b=1, c=1), NOW)
    assert (step.replicas, names_of(step.actions)) == (
        4,
        [("UnmarkRetiring", "c"), ("Undrain", "c"), ("UnmarkRetiring", "b"), ("Undrain", "b")],
    )
    step = pool_step(2, pool(pod("a"), drained("b", 0), drained("c", 1), replicas=3, b=1, c=1), NOW)
    assert (step.replicas, names_of(step.actions)) == (3, [("UnmarkRetiring", "c"), ("Undrain", "c")])


def test_the_replacement_of_a_leaving_pod_is_asked_for_at_once() -> None:
    step = pool_step(2, pool(pod("a"), pod("b", leaving=CORDONED), replicas=2), NOW)
    assert (step.replicas, names_of(step.actions)) == (3, [("MarkRetiring", "b")])
    starting = pool(pod("a"), drained("b", leaving=CORDONED), loading("c"), replicas=3)
    assert pool_step(2, starting, NOW).replicas == 3
    assert pool_step(2, pool(pod("a"), drained("b", leaving=CORDONED), pod("c"), replicas=3), NOW).replicas == 2


def test_the_only_server_serves_on_until_its_replacement_is_ready_unless_its_machine_ends_at_any_moment() -> None:
    assert pool_step(1, pool(pod("a", leaving=CORDONED), replicas=1), NOW).actions == ()
    assert names_of(pool_step(1, pool(pod("a", leaving=RECLAIMED), replicas=1), NOW).actions) == [("MarkRetiring", "a")]
    seen = pool(pod("a", leaving=CORDONED), pod("b"), replicas=2)
    assert names_of(pool_step(1, seen, NOW).actions) == [("MarkRetiring", "a")]


def test_a_node_that_stays_after_all_gives_its_pod_back_and_the_replacement_away() -> None:
    unmarked = pool(pod("a"), unplaced("b"), replicas=2)
    assert pool_step(1, unmarked, NOW).replicas == 1
    seen = pool(drained("a"), unplaced("b"), replicas=2)
    step = pool_step(1, seen, NOW)
    assert (step.replicas, names_of(step.actions)) == (1, [("UnmarkRetiring", "a"), ("Undrain", "a")])


def test_a_server_that_drains_without_a_mark_is_taken_back() -> None:
    seen = PoolState(1, (pod("a", ready_at=None),), {"a": PodLoadState("a", NOW, state="draining")}, DRAIN_SECONDS)
    assert pool_step(1, seen, NOW).actions == (Undrain(PodRef("default", "a"), "a"),)


def test_no_pod_is_chosen_and_nothing_lowered_during_a_rollout() -> None:
    seen = pool(pod("a", template="old"), pod("b"), drained("c"), replicas=3)
    assert pool_step(1, seen, NOW) == pool_step(0, seen, NOW)
    assert pool_step(1, seen, NOW).replicas == 3
    assert pool_step(4, seen, NOW).replicas == 5


def test_a_region_at_zero_ends_all_pods_at_once() -> None:
    seen = RegionState("eu", 1, Autoscaling(), workloads=(WorkloadState(2),), pods=(pod("a"), pod("b")))
    steps = next_steps(seen, PoolReplicas(), NOW)
    assert (steps.pools, steps.actions) == (PoolReplicas(), ())


def test_a_region_is_decided_again_when_a_pods_time_is_over() -> None:
    seen = RegionState("eu", 1, Autoscaling(), workloads=(WorkloadState(2),), pods=(pod("a"), drained("b")))
    assert next_steps(replace(seen, load=LoadState()), PoolReplicas(1), NOW).requeue_at == NOW - 10 + DRAIN_SECONDS


@dataclass
class Simulation:
    """One pool, its Deployment, and pods that are scheduled, load, serve and drain; a step is a second."""

    now: float = NOW
    replicas: int = 0
    made: int = 0
    pods: dict[str, PodState] = field(default_factory=dict)
    open_requests: dict[str, int] = field(default_factory=dict)
    draining: set[str] = field(default_factory=set)
    cut: list[str] = field(default_factory=list)

    def state(self, *, may_shrink: bool = True) -> PoolState:
        pods = tuple(self.pods.values())
        loads = {
            each.name: PodLoadState(
                each.name,
                self.now,
                self.open_requests.get(each.name, 0),
                state="draining" if each.name in self.draining else "ready",
            )
            for each in pods
            if each.ready_at is not None or each.name in self.draining
        }
        serving = any(each.is_ready and not each.is_outgoing for each in pods)
        return PoolState(self.replicas, pods, loads, DRAIN_SECONDS, may_shrink=may_shrink, has_staying_server=serving)

    def second(self, target: int, *, may_shrink: bool = True) -> None:
        """Decide and act, then let a second pass."""
        step = pool_step(target, self.state(may_shrink=may_shrink), self.now)
        self.replicas = step.replicas
        self._replica_set()
        for action in step.actions:
            self._act(action)
        self.now += 1
        for name, each in self.pods.items():
            if each.scheduled_at is None and self.now - each.created_at >= 3:
                self.pods[name] = replace(each, scheduled_at=self.now)
            elif each.ready_at is None and name not in self.draining and self.now - each.created_at >= 8:
                self.pods[name] = replace(each, ready_at=self.now)
        for name in self.draining & self.open_requests.keys():
            self.open_requests[name] = max(self.open_requests[name] - 1, 0)

    def _act(self, action: Action) -> None:
        name = action.pod.name  # type: ignore[union-attr]
        if name not in self.pods:
            return
        match action:
            case MarkRetiring(_, cost, at):
                self.pods[name] = replace(self.pods[name], retiring_since=at, deletion_cost=cost)
            case UnmarkRetiring():
                self.pods[name] = replace(self.pods[name], retiring_since=None, deletion_cost=0)
            case Drain():
                self.draining.add(name)
                self.pods[name] = replace(self.pods[name], ready_at=None)
            case Undrain():
                self.draining.discard(name)
                self.pods[name] = replace(self.pods[name], ready_at=self.now)

    def _replica_set(self) -> None:
        while len(self.pods) < self.replicas:
            self.made += 1
            name = f"p{self.made}"
            self.pods[name] = replace(unplaced(name), created_at=self.now)
        # The ranks of Kubernetes: without a node, not ready, deletion cost, younger.
        ranked = sorted(
            self.pods.values(),
            key=lambda each: (each.scheduled_at is not None, each.is_ready, each.deletion_cost, -each.created_at),
        )
        for each in ranked[: max(len(self.pods) - self.replicas, 0)]:
            del self.pods[each.name]
            self.draining.discard(each.name)
            if self.open_requests.pop(each.name, 0) and each.retiring_since is not None:
                if self.now < each.retiring_since + DRAIN_SECONDS:
                    self.cut.append(each.name)
            elif each.ready_at is not None:
                self.cut.append(f"{each.name} ready, never drained")

    @property
    def serving(self) -> int:
        return sum(each.is_ready and not each.is_outgoing for each in self.pods.values())


moves = st.lists(
    st.tuples(
        st.integers(1, 5),  # target
        st.integers(1, 40),  # seconds
        st.sampled_from(["", "cordon", "reclaim", "uncordon", "unknown"]),
        st.integers(0, 30),  # open requests of each server
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_property_no_request_is_cut_and_the_pool_settles(script: list[tuple[int, int, str, int]]) -> None:
    world, target = Simulation(), 1
    for target, seconds, event, requests in script:
        ready = [each for each in world.pods.values() if each.is_ready]
        for each in ready:
            world.open_requests[each.name] = requests
        if event in {"cordon", "reclaim"} and ready:
            leaving = CORDONED if event == "cordon" else RECLAIMED
            world.pods[ready[0].name] = replace(ready[0], leaving=leaving)
        if event == "uncordon":
            world.pods = {name: replace(each, leaving=None) for name, each in world.pods.items()}
        for _ in range(seconds):
            before = world.serving
            world.second(target, may_shrink=event != "unknown")
            assert world.serving >= min(before, target) or event in {"cordon", "reclaim"}, "fewer servers than wanted"
    for _ in range(400):
        world.second(target)
    assert world.cut == []
    assert (world.serving, len(world.pods), world.replicas) == (target, target, target)
    made = world.made
    world.second(target)
    assert world.made == made
