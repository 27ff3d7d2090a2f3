"""What is planned for a region whose cluster is away: what it was, or Failed when nothing is known."""

from typing import Any

import pytest
from voxfleet_operator.decisions.remote.absence import (
    CONNECTING,
    Absence,
    not_served,
    plan_of_absent,
    was_applied,
)
from voxfleet_operator.resources import Failure, Phase, RegionStatus, Resource, read_resource

AWAY = not_served("https://ap.example.com", 0, "timed out", 1_795_000_000.0)


def test_a_region_stays_as_the_status_says() -> None:
    before = RegionStatus(name="ap", phase=Phase.AWAKE, desired_replicas=3, ready_replicas=2)
    plan = plan_of_absent("ap", before, AWAY)
    assert (plan.phase, plan.replicas, plan.message) == (Phase.AWAKE, 3, AWAY.message)


def test_a_failed_wake_stays_one() -> None:
    failure = Failure(reason="WakeTimeout", message="m", count=1, generation=1, failed_at="a", retry_at="b")
    before = RegionStatus(name="ap", phase=Phase.FAILED, failure=failure)
    plan = plan_of_absent("ap", before, AWAY)
    assert (plan.phase, plan.reason, plan.failure) == (Phase.FAILED, "WakeTimeout", failure)


@pytest.mark.parametrize("before", [None, RegionStatus(name="ap", phase=Phase.FAILED)])
def test_a_region_that_was_never_reached_is_failed_and_not_before_something_failed(before: RegionStatus | None) -> None:
    assert plan_of_absent("ap", before, AWAY).phase == Phase.FAILED
    assert plan_of_absent("ap", before, CONNECTING).phase == Phase.ASLEEP


@pytest.mark.parametrize(
    ("status", "reason", "is_lasting"),
    [
        (0, "ClusterUnreachable", False),
        (429, "ClusterUnreachable", False),
        (503, "ClusterUnreachable", False),
        (401, "ClusterForbidden", True),
        (403, "ClusterForbidden", True),
    ],
)
def test_only_refused_credentials_need_a_person(status: int, reason: str, is_lasting: bool) -> None:  # noqa: FBT001
    absence = not_served("https://ap.example.com", status, "text", 1_795_000_000.0)
    assert (absence.reason, absence.is_lasting) == (reason, is_lasting)
    assert "text" in absence.message


def test_the_message_of_an_absence_does_not_change_with_time_alone() -> None:
    assert "2026-11-18T" in AWAY.message
    assert isinstance(AWAY, Absence)


def resource(phase: str, ready: tuple[str, str, int]) -> Resource:
    status, reason, generation = ready
    condition = {"type": "Ready", "status": status, "reason": reason, "message": "", "observedGeneration": generation}
    body: dict[str, Any] = {"conditions": [condition | {"lastTransitionTime": "2026-11-23T20:00:00Z"}]}
    body["regions"] = [{"name": "ap", "phase": phase}]
    metadata = {"namespace": "default", "name": "n", "uid": "u", "generation": 2}
    metadata |= {"creationTimestamp": "2026-11-23T20:00:00Z"}
    return read_resource({"metadata": metadata, "spec": {"regions": [{"name": "ap"}]}, "status": body})


@pytest.mark.parametrize(
    ("phase", "ready", "expected"),
    [
        ("Asleep", ("True", "Asleep", 2), True),
        ("Awake", ("False", "WakeTimeout", 2), True),  # of another region
        ("Asleep", ("True", "Asleep", 1), False),
        ("Asleep", ("False", "ClusterUnreachable", 2), False),
        ("Failed", ("False", "ClusterUnreachable", 2), False),
    ],
)
def test_a_new_process_knows_by_the_status_what_was_applied(
    phase: str,
    ready: tuple[str, str, int],
    expected: bool,  # noqa: FBT001
) -> None:
    assert was_applied(resource(phase, ready), "ap") is expected


def test_a_region_without_a_status_was_not_applied() -> None:
    assert not was_applied(resource("Asleep", ("True", "Asleep", 2)), "us")
