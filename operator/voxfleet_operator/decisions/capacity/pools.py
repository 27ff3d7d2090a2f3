"""Divides a region's replicas among its capacity pools: on demand and spot.

Knows the fallback to on demand, the way back, and the handover when the spec moves replicas from one pool to the other.
A pool's replicas are those of its Deployment; their sum may exceed the region's: pods that wait for a spot node are
covered on demand and one of them stays as a probe, and a handover starts one replica before it ends another. Nothing is
remembered: what runs on demand beyond the base is what is covered. Does not know how many replicas the region needs
(scaling.py), which pods leave, nor on which nodes a pool's pods run (manifests/pods/placement.py).
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.observed import PodState, RegionState
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import Capacity, SpotUse


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
    time, or will get none as the autoscaler says; `is_quiet`: no spot node was reclaimed lately. `on_demand_replicas`
    are those of the Deployment, without any that only replace pods which leave; `on_demand_ready` are those that serve.
    """

    ready: int = 0
    starting: int = 0
    waiting: int = 0
    late: int = 0
    is_quiet: bool = True
    on_demand_replicas: int = 0
    on_demand_ready: int = 0


def pools_of(capacity: Capacity) -> tuple[str, ...]:
    """Return the pools that need a Deployment in each region."""
    if capacity.spot == SpotUse.NEVER:
        return (POOL_ON_DEMAND,)
    if capacity.spot == SpotUse.REQUIRED and capacity.on_demand_base == 0:
        return (POOL_SPOT,)
    return (POOL_ON_DEMAND, POOL_SPOT)


def spot_pods(observed: RegionState) -> tuple[PodState, ...]:
    """Return the spot pods that count; one that leaves or is drained counts as gone."""
    return tuple(pod for pod in observed.active_pods if pod.pool == POOL_SPOT and not pod.is_outgoing)


def fallback_seconds(observed: RegionState) -> int:
    """Return how long a spot pod may wait for a node: shorter while no server of the region is ready."""
    capacity = observed.capacity
    return capacity.spot_fallback_seconds if observed.ready_pods else capacity.wake_fallback_seconds


def late_at(pod: PodState, observed: RegionState) -> float:
    """Return from when on a spot pod without a node is late.

    After the fallback time; at once when the autoscaler says that no node comes; and while one boots not before it must
    be there, because a node on demand would be a second one for the same pod.
    """
    at = pod.created_at + fallback_seconds(observed)
    if pod.scale_up is None:
        return at
    if pod.scale_up.is_coming:
        return max(at, pod.scale_up.since + observed.node_boot_seconds)
    return min(at, pod.scale_up.since)


def late_pods(observed: RegionState, now: float) -> tuple[PodState, ...]:
    """Return the spot pods that have waited for a node for too long."""
    without_node = (pod for pod in spot_pods(observed) if pod.scheduled_at is None and not pod.is_ready)
    return tuple(pod for pod in without_node if now >= late_at(pod, observed))


def quiet_at(observed: RegionState) -> float | None:
    """Return when the quiet time after the newest reclaim ends; None without a reclaim.

    After a reclaim the provider is short of spot nodes: the next one would be reclaimed soon too.
    """
    reclaimed_at = observed.local.spot_reclaimed_at
    return None if reclaimed_at is None else reclaimed_at + observed.spot_quiet_seconds


def spot_state(observed: RegionState, now: float) -> SpotState:
    """Return the state of a region's spot pods."""
    pods = spot_pods(observed)
    ready, late = sum(pod.is_ready for pod in pods), len(late_pods(observed, now))
    placed = sum(pod.scheduled_at is not None or pod.is_ready for pod in pods)
    quiet_from = quiet_at(observed)
    on_demand = (pod for pod in observed.ready_pods if pod.pool == POOL_ON_DEMAND and not pod.is_outgoing)
    return SpotState(
        ready=ready,
        starting=placed - ready,
        waiting=len(pods) - placed - late,
        late=late,
        is_quiet=quiet_from is None or now >= quiet_from,
        on_demand_replicas=sum(each.staying_replicas for each in observed.workloads if each.pool == POOL_ON_DEMAND),
        on_demand_ready=sum(1 for _ in on_demand),
    )


def divide(replicas: int, capacity: Capacity, seen: SpotState) -> PoolReplicas:
    """Return the replicas of each pool for the replicas that a region shall have; together one more at most."""
    base = base_of(replicas, capacity)
    on_spot = replicas - base
    covered = _covered(base, on_spot, capacity, seen)
    # Servers on spot beyond their share, after a change of the spec: each stays until one on demand replaces it.
    still_needed = min(seen.ready, replicas - min(seen.on_demand_ready, replicas))
    return _overlapping_by_one(replicas, base + covered, max(_on_spot(on_spot, covered, seen), still_needed), seen)


def _overlapping_by_one(replicas: int, on_demand: int, spot: int, seen: SpotState) -> PoolReplicas:
    """Return the pools without what exceeds one handover: spot pods that do not serve first, then on demand."""
    most = replicas + 1 if replicas > 0 else 0
    spot = max(min(spot, seen.ready), min(spot, most - on_demand))
    return PoolReplicas(min(on_demand, most - spot), spot)


def base_of(replicas: int, capacity: Capacity) -> int:
    """Return how many of a region's replicas run on demand even when there are enough spot nodes."""
    return replicas if capacity.spot == SpotUse.NEVER else min(capacity.on_demand_base, replicas)


def next_change_at(observed: RegionState, now: float) -> float | None:
    """Return when time alone changes the division or its reason: a pod becomes late, or the quiet time is over."""
    if observed.capacity.spot == SpotUse.NEVER:
        return None
    pods = [pod for pod in spot_pods(observed) if pod.scheduled_at is None]
    times = [late_at(pod, observed) for pod in pods]
    quiet_from = quiet_at(observed)
    times += [] if quiet_from is None else [quiet_from]
    return min((time for time in times if time > now), default=None)


def _covered(base: int, on_spot: int, capacity: Capacity, seen: SpotState) -> int:
    """Return how many spot replicas run on demand instead.

    Preferred: a late pod says that spot is short, so whatever has no node is covered at once; what is covered is given
    back one by one as spot pods are ready, and not while nodes are being reclaimed. Required: what runs on demand since
    before the spec said so stays until spot replaces it, and nothing is added.
    """
    covered_now = min(max(seen.on_demand_replicas - base, 0), on_spot)
    may_stay = on_spot - min(seen.ready, on_spot)
    if capacity.spot == SpotUse.REQUIRED:
        return min(covered_now, may_stay)
    missing = on_spot - seen.ready - seen.starting - seen.waiting if seen.late else 0
    return max(missing, min(covered_now, may_stay if seen.is_quiet else on_spot), 0)


def _on_spot(on_spot: int, covered: int, seen: SpotState) -> int:
    """Return the replicas of the spot pool: those that have a node, those that are not covered, and the probe.

    The probe is one pod that waits for a spot node while all that it would replace run on demand. One at a time, so
    that a handover overlaps by one replica. Of several that wait it is a late one: the others keep their time.
    """
    placed = min(seen.ready + seen.starting, on_spot)
    probe = 1 if placed + covered <= on_spot else 0
    late = probe if seen.late else 0
    return min(on_spot, max(placed + probe, on_spot - covered + late))
