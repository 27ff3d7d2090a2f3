"""The status of a resource, and when a changed one is written."""

from dataclasses import replace
from typing import Any

from voxfleet_operator.decisions.cost.ledger import Ledger
from voxfleet_operator.decisions.observed import PodState, RegionState, WorkloadState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Autoscaling, Phase, Resource, VoxTTSDeploymentStatus, read_resource
from voxfleet_operator.status.conditions import ConditionInput
from voxfleet_operator.status.resource_status import is_verified, next_write_at, resource_status

NOW = 1_795_000_000.0


def plan(name: str = "eu", phase: Phase = Phase.ASLEEP, **fields: Any) -> RegionPlan:
    known = {"replicas": 0 if phase == Phase.ASLEEP else 1, "reason": str(phase), **fields}
    return RegionPlan(name, phase, **known)


def resource(status: VoxTTSDeploymentStatus | None = None) -> Resource:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "generation": 3}
    metadata["creationTimestamp"] = "2026-11-23T20:00:00Z"
    made = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    return replace(made, status=status) if status else made


def plans(*of_regions: RegionPlan) -> ResourcePlan:
    return ResourcePlan({each.name: each for each in of_regions})


def observed(**fields: Any) -> ResourceState:
    return ResourceState({"eu": replace(RegionState("eu", 3, Autoscaling()), **fields)})


def status(of: Resource, **fields: Any) -> VoxTTSDeploymentStatus:
    return resource_status(of, ConditionInput(plans(plan(**fields))), observed(), Ledger(NOW), NOW)


def test_awake_until_is_never_left_in_the_past() -> None:
    first = status(resource(), phase=Phase.AWAKE, awake_until=NOW - 1)
    moved = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 29)
    assert moved.regions[0].awake_until == to_rfc3339(NOW + 29)


def test_awake_until_is_quiet_within_five_minutes() -> None:
    first = status(resource(), phase=Phase.AWAKE, awake_until=NOW + 1000)
    moved = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 1299)
    assert next_write_at(first, moved, last_write_at=NOW) is None
    far = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 1301)
    assert far.regions[0].awake_until == to_rfc3339(NOW + 1301)
    assert next_write_at(first, far, last_write_at=NOW) == NOW + 10


def test_a_change_of_phase_is_written_at_once() -> None:
    first = status(resource())
    assert next_write_at(first, status(resource(first), phase=Phase.WAKING), last_write_at=NOW) == 0.0


def test_a_message_alone_is_written_at_most_every_ten_seconds() -> None:
    first = status(resource(), phase=Phase.WAKING, message="a")
    later = status(resource(first), phase=Phase.WAKING, message="b")
    assert next_write_at(first, later, last_write_at=NOW - 3) == NOW + 7


def test_verified_by_a_ready_pod_of_the_current_template_and_kept_for_its_generation() -> None:
    ready = PodState("default", "p", "narrator", "eu", created_at=NOW, ready_at=NOW, template="b")
    assert is_verified(resource(), observed(pods=(ready,), workloads=(WorkloadState(1, template="b", generation=3),)))
    for workload in (
        WorkloadState(1, template="a", generation=3),
        WorkloadState(1, template="b", generation=2),
        WorkloadState(1, generation=3),
    ):
        assert not is_verified(resource(), observed(pods=(ready,), workloads=(workload,)))
    loading = replace(ready, ready_at=None)
    assert not is_verified(
        resource(), observed(pods=(loading,), workloads=(WorkloadState(1, template="b", generation=3),))
    )
    verified = resource_status(
        resource(), ConditionInput(plans(plan()), is_verified=True), observed(), Ledger(NOW), NOW
    )
    assert is_verified(resource(verified), observed())
    older = verified.conditions[1].model_copy(update={"observed_generation": 2})
    assert not is_verified(resource(verified.model_copy(update={"conditions": [older]})), observed())
