"""Builds the status of a resource, and says whether it is worth writing.

Knows what is quiet: `awakeUntil` that moved by less than five minutes, and is not past, is the old one.
Does not write anything.
"""

from typing import Any

from voxfleet_operator.conditions import ConditionInput, conditions, summary
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.region_plan import RegionPlan
from voxfleet_operator.decisions.timestamps import to_rfc3339, to_seconds
from voxfleet_operator.resources import Phase, RegionStatus, Resource, VoxTTSDeploymentStatus

QUIET_SECONDS = 300.0
LEAST_SECONDS_BETWEEN_WRITES = 10.0


def resource_status(
    resource: Resource, given: ConditionInput, observed: dict[str, RegionState], now: float
) -> VoxTTSDeploymentStatus:
    """The whole status, rebuilt from plans and observations."""
    plans = given.plans
    before = resource.region_statuses
    awake = sum(plan.phase == Phase.AWAKE for plan in plans)
    return VoxTTSDeploymentStatus(
        observed_generation=resource.generation,
        model=resource.model_name,
        awake=f"{awake}/{len(plans)}",
        replicas=sum(plan.replicas for plan in plans),
        message=summary(given)[:4096],
        conditions=conditions(given, tuple(resource.status.conditions), resource.generation, now),
        regions=[_region(plan, observed[plan.name], before.get(plan.name), now) for plan in plans],
        cost=resource.status.cost,
    )


def is_verified(resource: Resource, observed: dict[str, RegionState]) -> bool:
    """Whether a region became ready with this generation, now or before."""
    if any(seen.ready_pods and seen.workload and seen.workload.is_updated for seen in observed.values()):
        return True
    verified = next((condition for condition in resource.status.conditions if condition.type == "Verified"), None)
    return verified is not None and verified.status == "True" and verified.observed_generation == resource.generation


def write_at(before: VoxTTSDeploymentStatus, after: VoxTTSDeploymentStatus, last_write_at: float) -> float | None:
    """When to write: at once for what matters, at most every ten seconds for the rest, never without a change."""
    if as_json(before) == as_json(after):
        return None
    return 0.0 if _headline(before) != _headline(after) else last_write_at + LEAST_SECONDS_BETWEEN_WRITES


def as_json(status: VoxTTSDeploymentStatus) -> dict[str, Any]:
    """As it is sent."""
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


def _headline(status: VoxTTSDeploymentStatus) -> Any:
    states = {condition.type: (condition.status, condition.reason) for condition in status.conditions}
    regions = [(region.name, region.phase, region.desired_replicas) for region in status.regions]
    return status.observed_generation, states, regions


def _region(plan: RegionPlan, observed: RegionState, before: RegionStatus | None, now: float) -> RegionStatus:
    return RegionStatus(
        name=plan.name,
        phase=plan.phase,
        message=plan.message[:4096],
        desired_replicas=plan.replicas,
        ready_replicas=len(observed.ready_pods),
        awake_until=_quiet_instant(plan, before, now),
        last_wake=plan.last_wake,
        failure=plan.failure,
    )


def _quiet_instant(plan: RegionPlan, before: RegionStatus | None, now: float) -> str | None:
    """The old instant while it is nearly right: it moves with every request. One that is past would be untrue."""
    if plan.awake_until is None or plan.phase not in (Phase.AWAKE, Phase.WAKING):
        return None
    written = to_seconds(before.awake_until) if before else None
    is_near = written is not None and written > now and abs(written - plan.awake_until) <= QUIET_SECONDS
    if before is not None and is_near:
        return before.awake_until
    return to_rfc3339(plan.awake_until)
