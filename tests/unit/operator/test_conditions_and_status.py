"""Conditions say what a person at three in the morning needs, and the status is quiet."""

from dataclasses import replace
from typing import Any

from voxfleet_operator.conditions import ConditionInput, Problem, conditions, summary
from voxfleet_operator.decisions.observed import PodState, Policy, RegionState, WorkloadState
from voxfleet_operator.decisions.region_plan import RegionPlan
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Condition, Failure, Phase, Resource, VoxTTSDeploymentStatus, read_resource
from voxfleet_operator.status import is_verified, resource_status, write_at

NOW = 1_795_000_000.0


def plan(name: str = "eu", phase: Phase = Phase.ASLEEP, **fields: Any) -> RegionPlan:
    known = {"replicas": 0 if phase == Phase.ASLEEP else 1, "reason": str(phase), **fields}
    return RegionPlan(name, phase, **known)


def by_type(given: ConditionInput, previous: tuple[Condition, ...] = (), now: float = NOW) -> dict[str, Condition]:
    return {condition.type: condition for condition in conditions(given, previous, 3, now)}


def statuses(given: ConditionInput) -> dict[str, str]:
    return {name: condition.status for name, condition in by_type(given).items()}


def resource(status: VoxTTSDeploymentStatus | None = None) -> Resource:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "generation": 3}
    metadata["creationTimestamp"] = "2026-11-23T20:00:00Z"
    made = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    return replace(made, status=status) if status else made


def test_asleep_is_ready() -> None:
    given = ConditionInput((plan(), plan("us")))
    assert statuses(given) == {
        "Ready": "True",
        "Verified": "Unknown",
        "Reconciling": "False",
        "Stalled": "False",
        "Degraded": "False",
    }
    assert by_type(given)["Ready"].reason == "Asleep"


def test_waking_is_not_ready_and_says_what_it_waits_for() -> None:
    given = ConditionInput((plan(), plan("us", Phase.WAKING, message="pod x has no node: 0/2 nodes")))
    assert statuses(given) | {"Verified": ""} == {
        "Ready": "False", "Verified": "", "Reconciling": "True", "Stalled": "False", "Degraded": "False",
    }  # fmt: skip
    assert summary(given) == "region us: pod x has no node: 0/2 nodes"


def test_failed_is_stalled_with_the_pods_words_and_the_next_try() -> None:
    failure = Failure(
        reason="WeightsInvalid", message="cut off", failed_at=to_rfc3339(NOW), retry_at=to_rfc3339(NOW + 60)
    )
    failed = plan("eu", Phase.FAILED, replicas=0, reason="WeightsInvalid", message="cut off", failure=failure)
    found = by_type(ConditionInput((failed, plan("us"))))
    assert (found["Stalled"].status, found["Stalled"].reason) == ("True", "WeightsInvalid")
    assert found["Ready"].message == f"region eu: cut off (tried again on demand from {to_rfc3339(NOW + 60)})"
    assert found["Verified"].status == "False"


def test_a_warning_leaves_it_ready_but_is_the_summary() -> None:
    given = ConditionInput((plan(),), (Problem("ModelNameTaken", "belongs to default/older"),))
    assert statuses(given)["Ready"] == "True"
    assert summary(given) == "belongs to default/older"


def test_the_gravest_problem_gives_the_reason_and_all_are_told() -> None:
    problems = (Problem("TemplateConflict", "b"), Problem("LoadUnknown", "a"))
    degraded = by_type(ConditionInput((plan(),), problems))["Degraded"]
    assert (degraded.reason, degraded.message) == ("LoadUnknown", "a; b")


def test_a_blocking_problem_is_not_ready() -> None:
    found = by_type(ConditionInput((plan(),), (Problem("NameTaken", "Service x"),)))
    assert (found["Ready"].status, found["Stalled"].reason) == ("False", "NameTaken")


def test_the_time_of_transition_stands_while_the_judgement_does() -> None:
    before = tuple(conditions(ConditionInput((plan(),)), (), 3, NOW))
    after = by_type(ConditionInput((plan(phase=Phase.AWAKE),)), before, NOW + 100)
    assert after["Ready"].reason == "Serving"
    assert after["Ready"].last_transition_time == to_rfc3339(NOW)
    waking = by_type(ConditionInput((plan(phase=Phase.WAKING),)), before, NOW + 100)
    assert waking["Ready"].last_transition_time == to_rfc3339(NOW + 100)


def observed(**fields: Any) -> dict[str, RegionState]:
    return {"eu": replace(RegionState("eu", 3, Policy()), **fields)}


def status(of: Resource, **fields: Any) -> VoxTTSDeploymentStatus:
    return resource_status(of, ConditionInput((plan(**fields),)), observed(), NOW)


def test_awake_until_is_never_left_in_the_past() -> None:
    first = status(resource(), phase=Phase.AWAKE, awake_until=NOW - 1)
    moved = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 29)
    assert moved.regions[0].awake_until == to_rfc3339(NOW + 29)


def test_awake_until_is_quiet_within_five_minutes() -> None:
    first = status(resource(), phase=Phase.AWAKE, awake_until=NOW + 1000)
    moved = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 1299)
    assert write_at(first, moved, last_write_at=NOW) is None
    far = status(resource(first), phase=Phase.AWAKE, awake_until=NOW + 1301)
    assert far.regions[0].awake_until == to_rfc3339(NOW + 1301)
    assert write_at(first, far, last_write_at=NOW) == NOW + 10


def test_a_change_of_phase_is_written_at_once() -> None:
    first = status(resource())
    assert write_at(first, status(resource(first), phase=Phase.WAKING), last_write_at=NOW) == 0.0


def test_a_message_alone_is_written_at_most_every_ten_seconds() -> None:
    first = status(resource(), phase=Phase.WAKING, message="a")
    later = status(resource(first), phase=Phase.WAKING, message="b")
    assert write_at(first, later, last_write_at=NOW - 3) == NOW + 7


def test_verified_by_a_ready_pod_of_the_current_template_and_kept_for_its_generation() -> None:
    ready = PodState("default", "p", "narrator", "eu", created_at=NOW, ready_at=NOW)
    seen = observed(pods=(ready,), workload=WorkloadState(1, is_updated=True))
    assert is_verified(resource(), seen)
    verified = resource_status(resource(), ConditionInput((plan(),), is_verified=True), observed(), NOW)
    assert is_verified(resource(verified), observed())
    older = verified.conditions[1].model_copy(update={"observed_generation": 2})
    assert not is_verified(resource(verified.model_copy(update={"conditions": [older]})), observed())
