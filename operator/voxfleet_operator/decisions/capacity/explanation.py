"""Says in words why a region's replicas are on spot or on demand, and which problem a user should know.

Knows the message of a region's capacity and the warnings that become conditions. Decides nothing (pools.py). Texts hold
times of events and no durations: a text that changes with the clock alone would be written again and again.
"""

from collections.abc import Callable

from voxfleet_operator.decisions.capacity.pools import (
    SpotState,
    base_of,
    fallback_seconds,
    late_at,
    late_pods,
    quiet_at,
    spot_pods,
    spot_state,
)
from voxfleet_operator.decisions.observed import PodState, RegionState
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import SpotUse

Reason = Callable[[RegionState, SpotState, int, float], str]

REMEDY = (
    "add a node pool of spot nodes for this region (docs: Spot and autoscalers), or outside the known clouds label "
    "spot nodes voxfleet.dev/capacity-type=spot"
)


def capacity_message(observed: RegionState, replicas: int, now: float) -> str:
    """Return which servers a region has on spot and on demand, and why; empty where spot plays no part."""
    spot = sum(pod.pool == POOL_SPOT for pod in observed.ready_pods)
    seen = spot_state(observed, now)
    if observed.capacity.spot == SpotUse.NEVER and not seen.ready:
        return ""
    counts = f"{spot} spot, {len(observed.ready_pods) - spot} on demand"
    reason = capacity_reason(observed, replicas, now)
    return f"{counts}: {reason}" if reason else counts


def capacity_reason(observed: RegionState, replicas: int, now: float) -> str:
    """Return the first reason that applies, or an empty string: replicas are where the spec first asks for them."""
    seen = spot_state(observed, now)
    base = base_of(replicas, observed.capacity)
    covered = min(max(seen.on_demand_replicas - base, 0), replicas - base)
    reasons: dict[SpotUse, Reason] = {
        SpotUse.NEVER: _moving_off,
        SpotUse.PREFERRED: _preferred,
        SpotUse.REQUIRED: _required,
    }
    found = reasons[observed.capacity.spot](observed, seen, covered, now)
    is_split = base and observed.capacity.spot != SpotUse.NEVER and observed.ready_pods
    return found or (f"onDemandBase is {observed.capacity.on_demand_base}" if is_split else "")


def waits_for_spot_alone(observed: RegionState) -> bool:
    """Whether every pod of the region waits for a spot node."""
    pods = observed.active_pods
    return bool(pods) and all(pod.pool == POOL_SPOT and pod.scheduled_at is None for pod in pods)


def capacity_warnings(observed: RegionState, now: float) -> list[tuple[str, str]]:
    """Return (reason, message) when spot nodes are missing: on demand serves instead, or the region waits."""
    if observed.capacity.spot == SpotUse.NEVER or not _without_spot(observed, now):
        return []
    use = observed.capacity.spot
    outcome = "on demand serves instead" if use == SpotUse.PREFERRED else "set it to Preferred to use on demand, or"
    separator = "; " if use == SpotUse.PREFERRED else " "
    text = f"region {observed.name}: capacity.spot is {use}, and {_waits(observed, now)}: {outcome}{separator}{REMEDY}"
    return [("SpotUnavailable", text)]


def _moving_off(_observed: RegionState, seen: SpotState, _covered: int, _now: float) -> str:
    return "capacity.spot is Never: each server on spot ends when one on demand is ready" if seen.ready else ""


def _preferred(observed: RegionState, seen: SpotState, covered: int, now: float) -> str:
    quiet_from = quiet_at(observed)
    if _without_spot(observed, now):
        return f"{_waits(observed, now)}; that pod stays to find out when spot is back"
    if covered and quiet_from is not None and not seen.is_quiet:
        return f"a spot node was reclaimed; back to spot from {to_rfc3339(quiet_from)} on"
    if covered:
        return "going back to spot, one replica at a time: each on demand ends when one on spot is ready"
    if seen.waiting:
        return f"{_first_waits(observed)}; on demand instead {_deadline(observed)}"
    return ""


def _required(observed: RegionState, seen: SpotState, covered: int, now: float) -> str:
    if covered:
        return "capacity.spot is Required: each server on demand ends when one on spot is ready"
    if seen.late:
        return f"capacity.spot is Required, and {_waits(observed, now)}"
    return _first_waits(observed) if seen.waiting else ""


def _without_spot(observed: RegionState, now: float) -> tuple[PodState, ...]:
    """Return the pods that find no spot node: the late ones, and a probe whose time begins anew.

    It does when the first server on demand is ready, because spotFallbackSeconds counts from then on.
    """
    late, pods = late_pods(observed, now), spot_pods(observed)
    is_covered = observed.capacity.spot == SpotUse.PREFERRED and _covered(observed) > 0
    has_node = any(pod.scheduled_at is not None or pod.is_ready for pod in pods)
    return late or (pods if is_covered and not has_node else ())


def _covered(observed: RegionState) -> int:
    on_demand = sum(each.replicas for each in observed.workloads if each.pool == POOL_ON_DEMAND)
    return on_demand - base_of(observed.planned_replicas, observed.capacity)


def _waits(observed: RegionState, now: float) -> str:
    """Return which pod found no spot node, since when, why that is too long, and what the scheduler says."""
    pods = _without_spot(observed, now)
    first = min(pods, key=lambda pod: (pod.created_at, pod.name))
    more = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
    limit = _why_late(first, observed) if first in late_pods(observed, now) else ""
    scheduler = f" ({first.unschedulable_message.rstrip('.')})" if first.unschedulable_message else ""
    return f"pod {first.name}{more} has no spot node since {to_rfc3339(first.created_at)}{limit}{scheduler}"


def _why_late(pod: PodState, observed: RegionState) -> str:
    said = pod.scale_up
    if said is None:
        return f", longer than {_limit(observed)}"
    if said.is_coming:
        return f", though {said.autoscaler} adds one since {to_rfc3339(said.since)}"
    return f", and {said.autoscaler} adds none: {said.message.rstrip('.')}"


def _first_waits(observed: RegionState) -> str:
    first = _first_without_node(observed)
    said = first.scale_up
    comes = f", which {said.autoscaler} adds" if said is not None and said.is_coming else ""
    return f"pod {first.name} waits for a spot node since {to_rfc3339(first.created_at)}{comes}"


def _deadline(observed: RegionState) -> str:
    first = _first_without_node(observed)
    is_coming = first.scale_up is not None and first.scale_up.is_coming
    return f"from {to_rfc3339(late_at(first, observed))} on" if is_coming else f"after {_limit(observed)}"


def _first_without_node(observed: RegionState) -> PodState:
    without_node = [pod for pod in spot_pods(observed) if pod.scheduled_at is None]
    return min(without_node, key=lambda pod: (pod.created_at, pod.name))


def _limit(observed: RegionState) -> str:
    name = "spotFallbackSeconds" if observed.ready_pods else "wakeFallbackSeconds"
    return f"{name} ({fallback_seconds(observed)} s)"
