"""Why a resource is in its state: each phase and condition has its sentence and its command."""

from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_cli.fleet.words import Finding, explain, headline, is_ready, length, region

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
WAKE = {
    "startedAt": "2026-11-30T09:00:00Z",
    "reason": "RequestHeld",
    "totalSeconds": "41.20",
    "nodeSeconds": "24.00",
    "imageSeconds": "0.04",
    "weightsSeconds": "11.10",
}


def resource(*conditions: tuple[str, str, str, str], regions: Any = (), **status: Any) -> dict[str, Any]:
    rows = [
        {"type": kind, "status": is_true, "reason": reason, "message": message}
        for kind, is_true, reason, message in conditions
    ]
    full = {"conditions": rows, "regions": [*regions], "observedGeneration": 2, "awake": "1/2", "replicas": 3} | status
    return {"metadata": {"namespace": "apps", "name": "narrator", "generation": 2}, "status": full}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Asleep"}, ["No request came for idleTimeoutSeconds; the next one wakes it."]),
        (
            {"phase": "Awake", "desiredReplicas": 2, "readyReplicas": 2, "spotReplicas": 1,
             "awakeUntil": "2026-11-30T10:12:00Z", "lastWake": WAKE},
            [
                "2 of 2 servers are ready, 1 of them on spot machines.",
                "Without another request it goes to sleep at 10:12:00 UTC, in 12 min 0 s.",
                "Its last wake for a request was 1 h 0 min ago, and took 41.2 s: node 24.0, weights 11.1.",
            ],
        ),
        (
            {"phase": "Awake", "desiredReplicas": 1, "readyReplicas": 1},
            ["1 of 1 servers are ready.", "It never sleeps: minReplicas is above 0, or a schedule keeps it awake."],
        ),
        (
            {"phase": "Waking", "desiredReplicas": 1, "message": "the pod waits for a node"},
            ["0 of 1 servers are ready.", "Requests are held meanwhile.", "the pod waits for a node"],
        ),
        (
            {"phase": "Failed", "failure": {"reason": "WakeTimeout", "count": 2, "retryAt": "2026-11-30T10:02:00Z"},
             "message": "no node"},
            [
                "WakeTimeout: its last 2 wakes failed.",
                "A request wakes it from 10:02:00 UTC on, in 2 min 0 s; a change of the spec at once.",
                "no node",
            ],
        ),
        (
            {"phase": "Failed", "failure": {"reason": "WakeTimeout", "retryAt": "2026-11-30T09:59:00Z"}},
            ["WakeTimeout: its last wake failed.", "The next request wakes it again."],
        ),
        (
            {"phase": "Suspended"},
            ["spec.suspend, or the region's own, is true: it serves nothing until that is false."],
        ),
        ({"phase": "New"}, ["Phase New is not known to this version of the command."]),
    ],
)  # fmt: skip
def test_regions(status: dict[str, Any], why: list[str]) -> None:
    found = region({"name": "eu"} | status, NOW)
    assert (found.subject, found.state, [*found.why]) == ("region eu", status["phase"], why)


def test_unusual_conditions_have_a_command() -> None:
    given = resource(
        ("Ready", "True", "Serving", ""),
        ("Degraded", "True", "LoadUnknown", "no gateway answers"),
        ("Stalled", "False", "Settled", ""),
        ("Verified", "Unknown", "NotYetWoken", ""),
        ("Reconciling", "True", "Paused", "paused"),
    )
    degraded, verified, paused = explain(given, NOW)
    assert degraded.command == "kubectl logs -n voxfleet-system -l app.kubernetes.io/component=gateway --tail 50"
    assert (degraded.subject, degraded.state) == ("condition Degraded", "True (LoadUnknown)")
    assert (verified.why, verified.command) == (("The reason's meaning is in docs/conditions.md.",), "")
    assert paused.command == "kubectl annotate vtts -n apps narrator voxfleet.dev/reconcile-"


def test_the_headline() -> None:
    assert headline(resource(("Ready", "False", "ApplyFailed", ""))) == (
        "apps/narrator: Ready is False (ApplyFailed), 1/2 regions awake, 3 replicas"
    )


def test_a_status_that_is_missing_or_behind() -> None:
    new = {"metadata": {"namespace": "apps", "name": "narrator"}}
    assert [each.state for each in explain(new, NOW)] == ["New"]
    assert not is_ready(new)
    assert headline(new) == "apps/narrator: Ready is Unknown (no status), 0 replicas"
    behind = explain(resource(observedGeneration=1), NOW)
    assert behind[0].why == ("The status is of generation 1, the spec is of generation 2: the operator is behind.",)
    assert isinstance(behind[0], Finding)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (61, "1 min 1 s"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_lengths(seconds: float, text: str) -> None:
    assert length(seconds) == text
