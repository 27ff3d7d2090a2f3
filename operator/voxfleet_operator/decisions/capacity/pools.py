"""Divides a region's replicas among its capacity pools: on demand and spot.

Knows the fallback to on demand and the way back. A pool's replicas are those of its Deployment; their sum may exceed
the region's, because pods that wait for a spot node are covered on demand and one of them stays as a probe. Does not
know how many replicas the region needs (scaling.py), nor on which nodes a pool's pods run (manifests/).
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import Capacity, SpotUse

# After a reclaim the provider is short of spot nodes: the next one would be reclaimed soon too.
QUIET_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class PoolReplicas:
    """Replicas of each pool's Deployment."""

    on_demand: int = 0
    spot: int = 0

    def of(self, pool: str) -> int:
        """Return the replicas of one pool, by its name."""
        return {POOL_ON_DEMAND: self.on_demand, POOL_SPOT: self.spot}[pool]


@dataclass(frozen=True, slots=True)
class SpotState:
    """A region's spot pods, by how far they are, and what is on demand now.

    `starting` have a node and are not ready; `waiting` have no node, `late` have none for longer than the fallback
    time; `is_quiet`: no spot node was reclaimed lately.
    """

    ready: int = 0
    starting: int = 0
    waiting: int = 0
    late: int = 0
    is_quiet: bool = True
    on_demand_replicas: int = 0


def pools_of(capacity: Capacity) -> tuple[str, ...]:
    """Return the pools that need a Deployment in each region."""
    if capacity.spot == SpotUse.NEVER:
        return (POOL_ON_DEMAND,)
    if capacity.spot == SpotUse.REQUIRED and capacity.on_demand_base == 0:
        return (POOL_SPOT,)
    return (POOL_ON_DEMAND, POOL_SPOT)


def spot_state(observed: RegionState, now: float) -> SpotState:
    """Return the state of a region's spot pods; a pod whose eviction was announced counts as gone."""
    pods = [pod for pod in observed.active_pods if pod.pool == POOL_SPOT and pod.disrupted_at is None]
    ready = sum(pod.is_ready for pod in pods)
    placed = sum(pod.scheduled_at is not None for pod in pods)
    fallback_seconds = _fallback_seconds(observed)
    without_node = [pod for pod in pods if pod.scheduled_at is None]
    late = sum(now - pod.created_at >= fallback_seconds for pod in without_node)
    reclaimed_at = observed.local.spot_reclaimed_at
    return SpotState(
        ready=ready,
        starting=max(placed - ready, 0),
        waiting=len(without_node) - late,
        late=late,
        is_quiet=reclaimed_at is None or now - reclaimed_at >= QUIET_SECONDS,
        on_demand_replicas=sum(each.replicas for each in observed.workloads if each.pool == POOL_ON_DEMAND),
    )


def divide(replicas: int, capacity: Capacity, seen: SpotState) -> PoolReplicas:
    """Return the replicas of each pool for the replicas that a region shall have."""
    base = replicas if capacity.spot == SpotUse.NEVER else min(capacity.on_demand_base, replicas)
    on_spot = replicas - base
    if on_spot == 0 or capacity.spot == SpotUse.REQUIRED:
        return PoolReplicas(base, on_spot)
    covered = _covered(base, on_spot, seen)
    placed = min(seen.ready + seen.starting, on_spot)
    # The probe: one pod that waits for a spot node while all that it would replace run on demand. One at a time, so
    # that a handover overlaps by one replica.
    probe = 1 if placed + covered <= on_spot else 0
    return PoolReplicas(base + covered, min(on_spot, max(placed + probe, on_spot - covered)))


def next_change_at(observed: RegionState, now: float) -> float | None:
    """Return when time alone changes the division: a pod becomes late, or the quiet time is over."""
    if observed.capacity.spot != SpotUse.PREFERRED:
        return None
    pods = [pod for pod in observed.active_pods if pod.pool == POOL_SPOT and pod.scheduled_at is None]
    times = [pod.created_at + _fallback_seconds(observed) for pod in pods]
    if observed.local.spot_reclaimed_at is not None:
        times.append(observed.local.spot_reclaimed_at + QUIET_SECONDS)
    return min((time for time in times if time > now), default=None)


def _covered(base: int, on_spot: int, seen: SpotState) -> int:
    """Return how many spot replicas run on demand instead.

    A late pod says that spot is short: whatever has no node is covered at once. What is covered is given back one by
    one as spot pods are ready, and not while nodes are being reclaimed.
    """
    missing = on_spot - seen.ready - seen.starting - seen.waiting if seen.late else 0
    covered_now = min(max(seen.on_demand_replicas - base, 0), on_spot)
    may_stay = on_spot - min(seen.ready, on_spot) if seen.is_quiet else on_spot
    return max(missing, min(covered_now, may_stay), 0)


def _fallback_seconds(observed: RegionState) -> int:
    capacity = observed.capacity
    return capacity.spot_fallback_seconds if observed.ready_pods else capacity.wake_fallback_seconds
