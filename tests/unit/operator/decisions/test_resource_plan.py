"""A resource's plan: the plans of its regions at one time."""

from voxfleet_operator.decisions import region_plan
from voxfleet_operator.decisions.observed import LeaseState, RegionState, WorkloadState
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState, decide
from voxfleet_operator.resources import Autoscaling, Phase

NOW = 1_795_000_000.0


def region(name: str, wake_timeout_seconds: int, renewed_at: float | None = NOW) -> RegionState:
    autoscaling = Autoscaling(wake_timeout_seconds=wake_timeout_seconds)
    return RegionState(name, 1, autoscaling, workloads=(WorkloadState(0),), lease=LeaseState("7", renewed_at))


def test_every_region_is_decided_for_the_same_time_and_the_first_due_time_counts() -> None:
    states = {"eu": region("eu", 100), "us": region("us", 50), "ap": region("ap", 10, renewed_at=None)}
    plan = decide(ResourceState(states), NOW)
    assert list(plan.regions) == ["eu", "us", "ap"]
    assert plan.regions == {name: region_plan.decide(state, NOW) for name, state in states.items()}
    assert [each.phase for each in plan.regions.values()] == [Phase.WAKING, Phase.WAKING, Phase.ASLEEP]
    assert (plan.replicas, plan.requeue_at) == (2, NOW + 50)


def test_a_resource_that_sleeps_is_never_due() -> None:
    assert decide(ResourceState({"eu": region("eu", 100, renewed_at=None)}), NOW).requeue_at is None
    assert ResourcePlan({}).requeue_at is None
