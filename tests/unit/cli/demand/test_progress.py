"""When a wait for a wake or for sleep has ended, by phase."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from voxfleet_cli.demand.lease import DemandLease
from voxfleet_cli.demand.progress import NEVER_SLEEPS, Outcome, falling_asleep, region_status, waking
from voxfleet_operator.decisions.demand.idle_timers import sleep_request_texts
from voxfleet_operator.decisions.observed import LeaseState, RegionState
from voxfleet_operator.resources import Autoscaling

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WAKE = {"readyAt": "2026-11-30T12:00:09Z", "totalSeconds": "9.00", "nodeSeconds": "4.00", "weightsSeconds": "5.00"}
OLD = {
    "reason": "WakeTimeout",
    "message": "slow",
    "failedAt": "2026-11-30T11:00:00Z",
    "retryAt": "2026-11-30T12:10:00Z",
}
NEW = OLD | {"failedAt": "2026-11-30T12:00:05.5Z"}


@pytest.mark.parametrize(
    ("status", "outcome", "text"),
    [
        ({}, Outcome.PENDING, ""),
        ({"phase": "Asleep"}, Outcome.PENDING, ""),
        ({"phase": "Waking", "message": "pulling the image"}, Outcome.PENDING, "pulling the image"),
        ({"phase": "Awake", "readyReplicas": 0}, Outcome.PENDING, ""),
        ({"phase": "Awake", "readyReplicas": 1}, Outcome.AWAKE, "it was awake already"),
        ({"phase": "Awake", "readyReplicas": 1, "lastWake": WAKE}, Outcome.AWAKE, "node 4.0, weights 5.0"),
        ({"phase": "Failed", "failure": OLD}, Outcome.PENDING, "tried again from 2026-11-30T12:10:00Z on"),
        ({"phase": "Failed", "failure": NEW}, Outcome.FAILED, "WakeTimeout: slow"),
    ],
)
def test_a_wake(status: dict[str, Any], outcome: Outcome, text: str) -> None:
    found = waking(status, NOW)
    assert found.outcome is outcome
    assert text in found.text


ASKED = DemandLease("l", "1", renewed_at=NOW - timedelta(seconds=5), sleep_at=NOW)
RENEWED = DemandLease("l", "1", renewed_at=NOW + timedelta(seconds=5), sleep_at=NOW)


@pytest.mark.parametrize(
    ("status", "lease", "outcome", "text"),
    [
        ({"phase": "Awake"}, ASKED, Outcome.PENDING, ""),
        ({"phase": "Draining", "message": "finishing"}, ASKED, Outcome.PENDING, "finishing"),
        ({"phase": "Asleep"}, ASKED, Outcome.ASLEEP, ""),
        ({"phase": "Suspended"}, RENEWED, Outcome.ASLEEP, ""),
        ({"phase": "Awake"}, RENEWED, Outcome.KEPT_AWAKE, "a request came at 12:00:05 UTC"),
        ({"phase": "Awake", "message": f"x; {NEVER_SLEEPS}: ..."}, ASKED, Outcome.KEPT_AWAKE, NEVER_SLEEPS),
    ],
)
def test_a_sleep(status: dict[str, Any], lease: DemandLease, outcome: Outcome, text: str) -> None:
    found = falling_asleep(status, lease)
    assert found.outcome is outcome
    assert text in found.text


def test_the_operators_message_of_a_minimum_is_recognised() -> None:
    asked = LeaseState("1", NOW.timestamp() - 5, sleep_at=NOW.timestamp())
    (text,) = sleep_request_texts(RegionState("eu", 1, Autoscaling(min_replicas=1), lease=asked))
    assert NEVER_SLEEPS in text


def test_a_region_without_status() -> None:
    assert region_status({}, "eu") == {}
    assert region_status({"status": {"regions": [{"name": "eu", "phase": "Awake"}]}}, "eu")["phase"] == "Awake"
