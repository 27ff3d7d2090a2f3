"""Builds the status of a resource, and decides whether and when a changed one is written.

Knows which changes are small: `awakeUntil` keeps its old value while that is in the future and less than five minutes
off. Writes nothing.
"""

from typing import Any

from voxfleet_operator.decisions.cost.ledger import Ledger
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourceState
from voxfleet_operator.decisions.timestamps import to_rfc3339, to_seconds
from voxfleet_operator.names import POOL_SPOT
from voxfleet_operator.resources import Phase, RegionStatus, Resource, VoxTTSDeploymentStatus
from voxfleet_operator.status.conditions import LONGEST_MESSAGE, ConditionInput, conditions, summary
from voxfleet_operator.status.cost_status import cost_status

# Both keep a busy fleet from writing a status with each request: every write is an etcd write and an event to every
# watcher.
QUIET_SECONDS = 300.0
SHORTEST_WRITE_INTERVAL_SECONDS = 10.0


def resource_status(
    resource: Resource, given: ConditionInput, observed: ResourceState, ledger: Ledger, now: float
) -> VoxTTSDeploymentStatus:
    """Return the whole status, rebuilt from plans and observations."""
    plans = given.plans
    before = resource.region_statuses
    awake = sum(plan.phase == Phase.AWAKE for plan in plans)
    return VoxTTSDeploymentStatus(
        observed_generation=resource.generation,
        model=resource.model_name,
        awake=f"{awake}/{len(plans)}",
        replicas=given.plan.replicas,
        message=summary(given)[:LONGEST_MESSAGE],
        conditions=conditions(given, tuple(resource.status.conditions), resource.generation, now),
        regions=[_region(plan, observed.regions.get(plan.name), before.get(plan.name), now) for plan in plans],
        cost=cost_status(resource.status.cost, ledger),
    )


def is_verified(resource: Resource, observed: ResourceState) -> bool:
    """Whether a region is ready with this generation, or was: a status that says so is believed."""
    if any(_runs(state, resource.generation) for state in observed.regions.values()):
        return True
    verified = next((condition for condition in resource.status.conditions if condition.type == "Verified"), None)
    return verified is not None and verified.status == "True" and verified.observed_generation == resource.generation


def _runs(state: RegionState, generation: int) -> bool:
    """Whether a pod is ready whose template is the one that this generation asks for."""
    applied = {
        (each.pool, each.template) for each in state.workloads if each.generation == generation and each.template
    }
    return any((pod.pool, pod.template) in applied for pod in state.ready_pods)


def next_write_at(before: VoxTTSDeploymentStatus, after: VoxTTSDeploymentStatus, last_write_at: float) -> float | None:
    """Return when to write a status: 0 (now) for a change of phase, condition or replicas, None without a change.

    All other changes wait until ten seconds after the last write.
    """
    if as_json(before) == as_json(after):
        return None
    return 0.0 if _headline(before) != _headline(after) else last_write_at + SHORTEST_WRITE_INTERVAL_SECONDS


def as_json(status: VoxTTSDeploymentStatus) -> dict[str, Any]:
    """Return the status as it is sent to the API server."""
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


def _headline(status: VoxTTSDeploymentStatus) -> Any:
    """What is written at once when it changes: generation, conditions, phases and replicas, without messages."""
    states = {condition.type: (condition.status, condition.reason) for condition in status.conditions}
    regions = [(region.name, region.phase, region.desired_replicas) for region in status.regions]
    return status.observed_generation, states, regions


def _region(plan: RegionPlan, observed: RegionState | None, before: RegionStatus | None, now: float) -> RegionStatus:
    if observed is None:  # its cluster is away: as it was seen last
        ready, spot = (before.ready_replicas, before.spot_replicas) if before else (0, 0)
    else:
        ready, spot = len(observed.ready_pods), sum(pod.pool == POOL_SPOT for pod in observed.ready_pods)
    return RegionStatus(
        name=plan.name,
        phase=plan.phase,
        message=plan.message[:LONGEST_MESSAGE],
        desired_replicas=plan.replicas,
        ready_replicas=ready,
        spot_replicas=spot,
        awake_until=_awake_until(plan, before, now),
        last_wake=plan.last_wake,
        failure=plan.failure,
        proven_templates=dict(plan.proven_templates) or None,
    )


def _awake_until(plan: RegionPlan, before: RegionStatus | None, now: float) -> str | None:
    """Return the old time while it is nearly right, because it moves with every request; never one in the past."""
    if plan.awake_until is None or plan.phase not in (Phase.AWAKE, Phase.WAKING):
        return None
    written = to_seconds(before.awake_until) if before else None
    is_near = written is not None and written > now and abs(written - plan.awake_until) <= QUIET_SECONDS
    if before is not None and is_near:
        return before.awake_until
    return to_rfc3339(plan.awake_until)
