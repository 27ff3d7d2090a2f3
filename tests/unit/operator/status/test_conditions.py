"""Conditions: status, reason and message for each state of the regions; every reason has its row."""

import re
from pathlib import Path
from typing import Any

import pytest
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Condition, Failure, Phase
from voxfleet_operator.status.condition_types import CONDITIONS
from voxfleet_operator.status.conditions import (
    BLOCKING,
    PASSING,
    ConditionInput,
    Problem,
    conditions,
    summary,
)
from voxfleet_operator.status.problem_reasons import PROBLEMS
from voxfleet_operator.status.reasons import REASONS

DOCS = Path(__file__).parents[4] / "docs"
PACKAGE = Path(__file__).parents[4] / "operator" / "voxfleet_operator"
NOW = 1_795_000_000.0


def plan(name: str = "eu", phase: Phase = Phase.ASLEEP, **fields: Any) -> RegionPlan:
    known = {"replicas": 0 if phase == Phase.ASLEEP else 1, "reason": str(phase), **fields}
    return RegionPlan(name, phase, **known)


def plans(*of_regions: RegionPlan) -> ResourcePlan:
    return ResourcePlan({each.name: each for each in of_regions})


def by_type(given: ConditionInput, previous: tuple[Condition, ...] = (), now: float = NOW) -> dict[str, Condition]:
    return {condition.type: condition for condition in conditions(given, previous, 3, now)}


def statuses(given: ConditionInput) -> dict[str, str]:
    return {name: condition.status for name, condition in by_type(given).items()}


def test_asleep_is_ready() -> None:
    given = ConditionInput(plans(plan(), plan("us")))
    assert statuses(given) == {
        "Ready": "True",
        "Verified": "Unknown",
        "Reconciling": "False",
        "Stalled": "False",
        "Degraded": "False",
    }
    assert by_type(given)["Ready"].reason == "Asleep"


def waking(woken_reason: str) -> RegionPlan:
    return plan("us", Phase.WAKING, woken_reason=woken_reason, message="pod x has no node: 0/2 nodes")


@pytest.mark.parametrize(("woken_reason", "ready"), [("RequestHeld", "True"), ("MinReplicas", "False"), ("", "False")])
def test_waking_is_ready_on_demand_alone_and_the_message_says_what_it_waits_for(woken_reason: str, ready: str) -> None:
    """Gateways hold the requests of a wake; replicas that minReplicas asks for are what `helm --wait` waits for."""
    given = ConditionInput(plans(plan(), waking(woken_reason)))
    assert statuses(given) | {"Verified": ""} == {
        "Ready": ready, "Verified": "", "Reconciling": "True", "Stalled": "False", "Degraded": "False",
    }  # fmt: skip
    assert by_type(given)["Ready"].reason == "Waking"
    assert summary(given) == "region us: pod x has no node: 0/2 nodes"


def test_a_wake_on_demand_beside_a_region_that_serves_is_part_of_the_message() -> None:
    found = by_type(ConditionInput(plans(plan(phase=Phase.AWAKE), waking("RequestHeld"), plan("ap"))))
    assert (found["Ready"].status, found["Ready"].reason) == ("True", "Serving")
    assert found["Ready"].message == "serving in eu; us is waking; the other regions are asleep"


def test_a_failed_region_is_not_hidden_by_one_that_wakes() -> None:
    failed = plan("eu", Phase.FAILED, replicas=0, reason="WakeTimeout", message="not in time")
    found = by_type(ConditionInput(plans(waking("RequestHeld"), failed)))
    assert (found["Ready"].status, found["Ready"].reason) == ("False", "WakeTimeout")


def test_failed_is_stalled_with_the_pods_message_and_the_time_of_the_next_try() -> None:
    failure = Failure(
        reason="WeightsInvalid", message="cut off", failed_at=to_rfc3339(NOW), retry_at=to_rfc3339(NOW + 60)
    )
    failed = plan("eu", Phase.FAILED, replicas=0, reason="WeightsInvalid", message="cut off", failure=failure)
    found = by_type(ConditionInput(plans(failed, plan("us"))))
    assert (found["Stalled"].status, found["Stalled"].reason) == ("True", "WeightsInvalid")
    assert found["Ready"].message == f"region eu: cut off (tried again on demand from {to_rfc3339(NOW + 60)})"
    assert found["Verified"].status == "False"


def test_a_warning_leaves_it_ready_but_is_the_summary() -> None:
    given = ConditionInput(plans(plan()), (Problem("ModelNameTaken", "belongs to default/older"),))
    assert statuses(given)["Ready"] == "True"
    assert summary(given) == "belongs to default/older"


def test_the_most_severe_problem_gives_the_reason_and_the_message_has_all() -> None:
    problems = (Problem("TemplateConflict", "b"), Problem("LoadUnknown", "a"))
    degraded = by_type(ConditionInput(plans(plan()), problems))["Degraded"]
    assert (degraded.reason, degraded.message) == ("LoadUnknown", "a; b")


def test_a_blocking_problem_is_not_ready() -> None:
    found = by_type(ConditionInput(plans(plan()), (Problem("NameTaken", "Service x", is_lasting=True),)))
    assert (found["Ready"].status, found["Stalled"].reason) == ("False", "NameTaken")


def test_a_passing_error_is_reconciling_and_not_stalled() -> None:
    """kstatus reads Stalled as failed: Flux would give up for one 429."""
    passing = Problem("ApplyFailed", "429 too many requests")
    found = by_type(ConditionInput(plans(plan()), (passing,)))
    assert (found["Ready"].status, found["Reconciling"].status, found["Stalled"].status) == ("False", "True", "False")
    assert (found["Reconciling"].reason, found["Reconciling"].message) == ("ApplyFailed", passing.message)
    lasting = Problem("ApplyFailed", "403 exceeded quota", is_lasting=True)
    both = by_type(ConditionInput(plans(plan()), (passing, lasting)))
    assert (both["Ready"].message, both["Stalled"].message) == (lasting.message, lasting.message)


def test_the_time_of_transition_stays_while_the_status_does() -> None:
    before = tuple(conditions(ConditionInput(plans(plan())), (), 3, NOW))
    after = by_type(ConditionInput(plans(plan(phase=Phase.AWAKE))), before, NOW + 100)
    assert after["Ready"].reason == "Serving"
    assert after["Ready"].last_transition_time == to_rfc3339(NOW)
    starting = by_type(ConditionInput(plans(plan(phase=Phase.WAKING))), before, NOW + 100)
    assert starting["Ready"].last_transition_time == to_rfc3339(NOW + 100)


def test_every_reason_says_what_it_means_and_problems_what_to_do() -> None:
    assert all(each.meaning and set(each.conditions) <= set(CONDITIONS) for each in REASONS.values())
    without = {name for name, each in PROBLEMS.items() if not each.remedy}
    assert without == {"ClusterConnecting", "RolloutWaiting"}, "these two end by themselves"


def test_every_alert_of_a_reason_has_a_runbook() -> None:
    alerts = {each.alert for each in REASONS.values() if each.alert}
    assert len(alerts) >= 6
    assert {alert for alert in alerts if not (DOCS / "runbooks" / f"{alert}.md").is_file()} == set()


def test_every_reason_used_is_known() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r'Problem\(\s*"(\w+)"', source))
    assert used
    assert used | set(BLOCKING) | set(PASSING) <= set(PROBLEMS)
