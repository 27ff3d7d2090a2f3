"""Load is known only while every gateway and every ready pod has a fresh reading."""

from typing import Any

import pytest
from voxfleet_operator.decisions.demand.load import GatewayLoad, Reading, Readings, load_of_region
from voxfleet_operator.decisions.observed import LoadState, PodState, StartUpState
from voxfleet_operator.decisions.timestamps import to_micro_time

NOW = 1_795_000_000.0
WHERE: dict[str, Any] = {"namespace": "default", "name": "narrator", "region": "eu"}


def pod(address: str = "10.0.0.1") -> PodState:
    return PodState("default", "p", "narrator", "eu", created_at=NOW - 60, address=address, ready_at=NOW - 50)


def row(address: str = "10.0.0.1", age_seconds: float = 0.5, **load: Any) -> dict[str, Any]:
    return {**WHERE, "address": address, "age_seconds": age_seconds, "load": {"state": "ready", **load}}


def reading(*pods: dict[str, Any], received_at: float = NOW - 1, address: str = "10.1.0.1", **model: Any) -> Reading:
    body = {"gateway": address, "models": [{**WHERE, **model}], "pods": list(pods), "later_field": 1}
    return Reading(address, received_at, GatewayLoad.model_validate(body))


def load(*readings: Reading, pods: tuple[PodState, ...] = ()) -> LoadState:
    return load_of_region("default", "narrator", "eu", Readings(readings), pods, NOW)


def test_without_gateways_load_is_unknown() -> None:
    assert load().unknown_reason == "no gateway is ready"


def test_held_is_summed_and_the_newest_row_of_a_pod_counts() -> None:
    old = reading(row(age_seconds=5, open_requests=9), held_requests=2, address="10.1.0.1")
    new = reading(row(age_seconds=0.1, open_requests=3), held_requests=1, address="10.1.0.2")
    seen = load(old, new, pods=(pod(),))
    assert (seen.is_known, seen.held_requests, seen.open_requests, seen.demand) == (True, 3, 3, 6)


def test_a_gateway_that_is_silent_makes_it_unknown() -> None:
    silent = Reading("10.1.0.2", error="connection refused")
    assert "10.1.0.2" in load(reading(row()), silent, pods=(pod(),)).unknown_reason
    stale = reading(row(), received_at=NOW - 15)
    assert "too old" in load(stale, pods=(pod(),)).unknown_reason


def test_a_ready_pod_without_a_fresh_row_makes_it_unknown() -> None:
    assert "10.0.0.2" in load(reading(row()), pods=(pod(), pod("10.0.0.2"))).unknown_reason
    assert not load(reading(row(age_seconds=14.5)), pods=(pod(),)).is_known


def test_rows_of_other_regions_do_not_count() -> None:
    other = {**row(open_requests=7), "region": "us"}
    assert load(reading(other)).open_requests == 0


def test_requests_that_only_the_gateway_knows_keep_it_busy() -> None:
    seen = load(reading(row(open_requests=0), open_requests=1), pods=(pod(),))
    assert not seen.is_idle


def test_the_load_is_as_old_as_its_oldest_reading() -> None:
    """A pod's row is older than the answer that carries it; rows of pods that are not ready do not count."""
    old, new = reading(row(age_seconds=3), received_at=NOW - 2), reading(row("10.0.0.2"), received_at=NOW - 1)
    assert load(old, new, pods=(pod(), pod("10.0.0.2"))).as_of == NOW - 5
    assert load(old, new, pods=(pod("10.0.0.2"),)).as_of == NOW - 2
    assert [(each.address, each.as_of) for each in load(old, pods=(pod(),)).pods] == [("10.0.0.1", NOW - 5)]
    assert load().as_of is None


def test_waiting_sequences_keep_it_busy() -> None:
    assert not load(reading(row(waiting_sequences=1)), pods=(pod(),)).is_idle


def test_the_last_request_is_the_latest_of_all() -> None:
    pods_row = row(last_request_finished_at=to_micro_time(NOW - 9))
    seen = load(reading(pods_row, last_request_finished_at=to_micro_time(NOW - 4)), pods=(pod(),))
    assert seen.last_request_finished_at == NOW - 4
    assert load(reading(row(last_request_finished_at="yesterday")), pods=(pod(),)).last_request_finished_at is None


def test_a_pods_start_is_converted_to_the_operators_clock() -> None:
    report = {"process_seconds": 2.0, "loaded_seconds": 0.5, "warm_seconds": 0.25, "ready_age_seconds": 3.0}
    (found,) = load(reading(row(age_seconds=0.5, **report)), pods=(pod(),)).pods
    assert found.start_up == StartUpState(2.0, 0.5, 0.25, ready_at=NOW - 1 - 0.5 - 3.0)
    (without,) = load(reading(row(**{**report, "process_seconds": None})), pods=(pod(),)).pods
    assert without.start_up is None


@pytest.mark.parametrize("value", ["2 s", -1, {}, [], True, "inf", 10**400])
@pytest.mark.parametrize("name", ["process_seconds", "ready_age_seconds", "last_request_finished_at"])
def test_a_pod_that_reports_nonsense_makes_no_other_pod_unknown(name: str, value: object) -> None:
    seen = load(reading(row(**{name: value}, open_requests=2)), pods=(pod(),))
    assert (seen.is_known, seen.open_requests) == (True, 2)
