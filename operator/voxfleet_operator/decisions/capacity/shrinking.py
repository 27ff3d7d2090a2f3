"""Decides the replicas of each pool's Deployment, and which of its pods leave: shrinking in two steps.

First a pod is marked (deletion cost, time) and drained, while its Deployment keeps its replicas. When it is unready
with nothing open, or its time is over, the Deployment is lowered, and the ReplicaSet deletes the pod with the lowest
cost. A pod whose node leaves is treated alike, so its replacement starts while it lives. Knows which pods a ReplicaSet
deletes first. Does not know how many replicas a pool shall have (pools.py).
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.actions import Action, Drain, MarkRetiring, Undrain, UnmarkRetiring
from voxfleet_operator.decisions.capacity.pools import PoolReplicas
from voxfleet_operator.decisions.observed import PodLoadState, PodState, RegionState, WorkloadState
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT

# Costs of marked pods, in the order of marking: the first is the lowest, so it is deleted first.
FIRST_DELETION_COST = -1_000_000
DRAINING = "draining"  # state of a pod in its own /internal/load


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool of a region: the replicas of its Deployment, its pods, and what limits a change.

    `pods` are active; `loads` are the fresh readings by pod address; `may_shrink` is False while load is unknown.
    """

    replicas: int
    pods: tuple[PodState, ...]
    loads: dict[str, PodLoadState]
    drain_seconds: float
    template: str = ""
    may_shrink: bool = True
    has_staying_server: bool = False

    @property
    def outgoing(self) -> list[PodState]:
        """Pods that leave and hold a replica of the Deployment; those that will be deleted next come first.

        With more pods than replicas the ReplicaSet is about to delete the first ones: they hold none any more.
        """
        leaving = sorted((pod for pod in self.pods if pod.is_outgoing), key=lambda pod: (pod.deletion_cost, pod.name))
        return leaving[max(len(self.pods) - self.replicas, 0) :]

    @property
    def staying(self) -> list[PodState]:
        """Pods that do not leave."""
        return [pod for pod in self.pods if not pod.is_outgoing]

    @property
    def is_rolling(self) -> bool:
        """Whether two ReplicaSets have pods: which one a change of replicas reaches is not known."""
        return any(pod.template != self.template for pod in self.pods)

    @property
    def unplaced(self) -> int:
        """Replicas without a node, or without a pod: they have no requests, and a ReplicaSet deletes them first."""
        waiting = sum(pod.is_unplaced for pod in self.staying)
        return waiting + max(self.replicas - len(self.pods), 0)

    @property
    def is_loading(self) -> bool:
        """Whether a pod starts: a ReplicaSet would delete it before any ready one."""
        return any(not pod.is_ready and not pod.is_unplaced for pod in self.staying)


@dataclass(frozen=True, slots=True)
class PoolStep:
    """The next step of one pool: the replicas of its Deployment, and the actions on its pods."""

    replicas: int
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """The next steps of a region's pools; `requeue_at`: when a pod's time to drain is over."""

    pools: PoolReplicas
    actions: tuple[Action, ...] = ()
    requeue_at: float | None = None


def next_steps(observed: RegionState, targets: PoolReplicas, now: float) -> Steps:
    """Return the next steps towards the targets; without replicas every pod ends at once, by its own drain."""
    if targets == PoolReplicas():
        return Steps(targets)
    on_demand = pool_step(targets.on_demand, pool_state(observed, POOL_ON_DEMAND), now)
    spot = pool_step(targets.spot, pool_state(observed, POOL_SPOT), now)
    ends = (_drained_by(pod, observed.drain_seconds) for pod in observed.active_pods)
    return Steps(
        PoolReplicas(on_demand.replicas, spot.replicas),
        (*on_demand.actions, *spot.actions),
        min((end for end in ends if end is not None and end > now), default=None),
    )


def pool_state(observed: RegionState, pool: str) -> PoolState:
    """Return the state of one pool of a region."""
    workload = next((each for each in observed.workloads if each.pool == pool), WorkloadState(0))
    return PoolState(
        replicas=workload.replicas,
        pods=tuple(pod for pod in observed.active_pods if pod.pool == pool),
        loads={load.address: load for load in observed.load.pods},
        drain_seconds=observed.drain_seconds,
        template=workload.template,
        may_shrink=observed.load.is_known,
        has_staying_server=any(pod.is_ready and not pod.is_outgoing for pod in observed.pods),
    )


def pool_step(target: int, pool: PoolState, now: float) -> PoolStep:
    """Return the next step of a pool that shall have `target` replicas beside those that leave."""
    wanted = target + len(pool.outgoing)
    drains = _drains(pool, now)
    if pool.is_rolling:
        return PoolStep(max(wanted, pool.replicas), drains)
    if wanted > pool.replicas:
        restored = _revocable(pool)[: wanted - pool.replicas]
        return PoolStep(wanted - len(restored), (*drains, *_restore(restored)))
    if wanted < pool.replicas:
        surplus = pool.replicas - wanted
        dropped = min(surplus, pool.unplaced)
        return PoolStep(pool.replicas - dropped, (*drains, *_marks(pool, surplus - dropped, now)))
    # A node that stays after all: its pod serves on, and the replacement that has no node yet is not needed.
    restored = _revocable(pool)[: pool.unplaced]
    if restored:
        return PoolStep(pool.replicas - len(restored), (*drains, *_restore(restored)))
    return PoolStep(pool.replicas - _finished(pool, now), drains)


def _revocable(pool: PoolState) -> list[PodState]:
    """Return marked pods whose nodes stay, the one marked last first: it has served longest."""
    return [pod for pod in reversed(pool.outgoing) if not pod.is_leaving]


def _restore(pods: list[PodState]) -> tuple[Action, ...]:
    return tuple(action for pod in pods for action in (UnmarkRetiring(pod.ref), Undrain(pod.ref, pod.address)))


def _marks(pool: PoolState, count: int, now: float) -> tuple[Action, ...]:
    """Mark ready pods, those with the fewest open requests first; not while one starts or load is unknown."""
    if not pool.may_shrink or pool.is_loading:
        return ()
    ready = sorted((pod for pod in pool.staying if pod.is_ready), key=lambda pod: _worth(pod, pool))
    return _marked(pool, ready[:count], now)


def _worth(pod: PodState, pool: PoolState) -> tuple[int, float, str]:
    load = pool.loads.get(pod.address)
    return load.open_requests if load else 0, -pod.created_at, pod.name


def _marked(pool: PoolState, pods: list[PodState], now: float) -> tuple[Action, ...]:
    costs = [pod.deletion_cost for pod in pool.pods if pod.retiring_since is not None]
    first = max(costs, default=FIRST_DELETION_COST - 1) + 1
    return tuple(MarkRetiring(pod.ref, first + number, now) for number, pod in enumerate(pods))


def _drains(pool: PoolState, now: float) -> tuple[Action, ...]:
    """Drain marked pods and mark those whose nodes leave; a pod that drains without leaving is taken back.

    The only server of a region serves on until its replacement is ready, unless the machine may end at any moment:
    an eviction ends with the pod's own drain, so nothing is cut.
    """
    unmarked = [pod for pod in pool.outgoing if pod.retiring_since is None]
    due = [pod for pod in unmarked if pool.has_staying_server or _is_urgent(pod)]
    return (
        *_marked(pool, due, now),
        *(
            Drain(pod.ref, pod.address)
            for pod in pool.outgoing
            if pod.retiring_since is not None and pod.is_ready and not _is_draining(pod, pool)
        ),
        *(Undrain(pod.ref, pod.address) for pod in pool.staying if _is_draining(pod, pool)),
    )


def _is_urgent(pod: PodState) -> bool:
    return pod.leaving is not None and pod.leaving.is_urgent


def _is_draining(pod: PodState, pool: PoolState) -> bool:
    load = pool.loads.get(pod.address)
    return load is not None and load.state == DRAINING


def _finished(pool: PoolState, now: float) -> int:
    """Return how many marked pods may be deleted now: the first in the ReplicaSet's order that have finished."""
    if not pool.may_shrink or pool.is_loading or pool.unplaced:
        return 0
    count = 0
    for pod in pool.outgoing:
        if not _has_finished(pod, pool, now):
            break
        count += 1
    return count


def _has_finished(pod: PodState, pool: PoolState, now: float) -> bool:
    drained_by, load = _drained_by(pod, pool.drain_seconds), pool.loads.get(pod.address)
    if drained_by is None:
        return False
    return now >= drained_by or (not pod.is_ready and load is not None and load.open_requests == 0)


def _drained_by(pod: PodState, drain_seconds: float) -> float | None:
    return pod.retiring_since + drain_seconds if pod.retiring_since is not None else None
