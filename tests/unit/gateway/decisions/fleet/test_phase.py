"""A region's phase, and by what it is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.fleet.phase import phase_of
from voxfleet_gateway.decisions.peers.remote_state import RemoteReport, RemoteState
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, PodState, ReceivedReport
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey

NOW, NOW_SECONDS = datetime(2026, 11, 30, 12, tzinfo=UTC), 1000.0
LEASE = Lease("demand", "n", "1", 60.0)
WANTED = replace(LEASE, renew_time=NOW - timedelta(seconds=5))


def region(*states: str | None, **fields: Any) -> RegionState:
    entry = RegionEntry(name="eu", **fields)
    model = ModelEntry(schema="voxfleet.dev/registry/v1", namespace="d", name="n", model="m", regions=(entry,))
    made = RegionState(RegionKey("d", "n", "eu"), model, entry)
    for number, state in enumerate(states):
        pod = PodState(PodEndpoint(PodAddress(f"10.0.0.{number}")))
        if state is not None:
            pod.record_report(ReceivedReport(LoadReport(state=state), {}, NOW_SECONDS - 2))  # type: ignore[arg-type]
        made.pods[pod.address] = pod
    return made


@pytest.mark.parametrize(
    ("states", "fields", "lease", "phase", "known_by"),
    [
        ((), {}, None, "Asleep", "operator"),
        ((), {"phase": "Awake"}, None, "Awake", "operator"),
        ((), {}, WANTED, "Waking", "lease"),
        ((), {"phase": "Failed"}, WANTED, "Failed", "operator"),
        ((), {}, replace(WANTED, asleep_since=NOW), "Asleep", "operator"),
        ((None,), {}, None, "Waking", "pods"),
        (("loading",), {}, None, "Waking", "pods"),
        (("warming", "ready"), {}, None, "Awake", "pods"),
        (("ready",), {"phase": "Failed"}, None, "Awake", "pods"),
        (("ready",), {}, replace(WANTED, asleep_since=NOW), "Draining", "pods"),
        (("draining",), {}, None, "Draining", "pods"),
        (("failed",), {"phase": "Failed"}, None, "Failed", "operator"),
        (("ready",), {"suspended": True}, None, "Suspended", "operator"),
    ],
)
def test_what_is_observed_outweighs_the_operator_s_word(
    states: tuple[str | None, ...], fields: dict[str, Any], lease: Lease | None, phase: str, known_by: str
) -> None:
    known = phase_of(region(*states, **fields), lease, NOW, NOW_SECONDS)
    assert (known.phase, known.known_by) == (phase, known_by)


def test_the_age_is_that_of_the_newest_report() -> None:
    known = phase_of(region("loading", "ready"), None, NOW, NOW_SECONDS)
    assert known.as_of == NOW - timedelta(seconds=2)


def test_a_wake_of_this_gateway_is_known_before_a_pod_is() -> None:
    asked = region()
    asked.traffic.start_wake(NOW_SECONDS - 3)
    assert phase_of(asked, LEASE, NOW, NOW_SECONDS).known_by == "gateway"


@pytest.mark.parametrize(
    ("report", "phase"),
    [
        ({}, "Asleep"),
        ({"ready_pods": 1}, "Awake"),
        ({"ready_pods": 1, "is_falling_asleep": True}, "Draining"),
        ({"wake_elapsed_seconds": 2.0}, "Waking"),
        ({"failure": "no weights"}, "Failed"),
    ],
)
def test_a_region_behind_a_peer_is_known_by_its_report_while_that_is_fresh(report: dict[str, Any], phase: str) -> None:
    elsewhere = region(local=False, phase="Awake")
    elsewhere.is_here, elsewhere.remote = False, RemoteState(2.0)
    assert phase_of(elsewhere, None, NOW, NOW_SECONDS).known_by == "operator", "no report yet"
    elsewhere.remote.record_report(RemoteReport(**report), NOW_SECONDS - 1, 0, 0.01)
    known = phase_of(elsewhere, None, NOW, NOW_SECONDS)
    assert (known.phase, known.known_by, known.as_of) == (phase, "peer", NOW - timedelta(seconds=1))
    assert phase_of(elsewhere, None, NOW, NOW_SECONDS + 10).known_by == "operator", "the report is stale"
