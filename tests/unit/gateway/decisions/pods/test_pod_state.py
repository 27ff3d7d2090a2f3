"""Reports are bounded where they are read, and decisions are total on every bounded report."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.pod_state import (
    LoadReport,
    PodAddress,
    PodEndpoint,
    PodState,
    ReceivedReport,
    parse_report,
)
from voxfleet_gateway.decisions.region_standing import stand
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionState, region_view
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey

COUNTS = ("open_requests", "running_sequences", "waiting_sequences", "free_rows")
odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=3)
json_values = st.recursive(
    odd, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
SCHEMA: Any = "voxfleet.dev/registry/v1"


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 10**400, 1.5, "x", None, 100_001, [1]])
def test_a_count_out_of_bounds_makes_the_report_invalid(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        parse_report(json.dumps({"state": "ready", name: value}).encode())


def test_what_is_no_language_is_left_out_and_the_report_is_used() -> None:
    given = ["en", "zh-Hans-CN", "English language", "", 7, None, "x" * 40, *["de"] * 100]
    report, _ = parse_report(json.dumps({"state": "ready", "languages": given}).encode())
    assert report.languages == ("en", "zh-Hans-CN", *["de"] * 62)
    assert parse_report(b'{"state": "ready", "languages": "en"}')[0].languages == ()


def test_a_long_message_is_shortened() -> None:
    report, _ = parse_report(json.dumps({"state": "failed", "message": "x" * 5000}).encode())
    assert len(report.message) == 300


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_report_or_a_value_error(body: bytes) -> None:
    try:
        report, raw = parse_report(body)
    except ValueError:
        return
    assert isinstance(report, LoadReport)
    json.dumps(raw, allow_nan=False)


@given(
    st.fixed_dictionaries({"state": st.just("ready")} | {name: st.integers(0, 100_000) for name in COUNTS}),
    st.integers(0, 100_000),
    st.sampled_from([*UpstreamFailure]),
)
def test_every_valid_report_can_be_decided_on(fields: dict[str, Any], sent: int, failure: UpstreamFailure) -> None:
    report, raw = parse_report(json.dumps(fields).encode())
    pod = PodState(PodEndpoint(PodAddress("10.0.0.1")), ReceivedReport(report, raw, 1.0), sent, sent)
    pod.record_failure(failure, 1.0)
    entry = RegionEntry(name="eu")
    model = ModelEntry(schema=SCHEMA, namespace="d", name="n", model="m", regions=(entry,))
    region = RegionState(RegionKey("d", "n", "eu"), model, entry, pods={pod.address: pod})
    assert decide([stand(region_view(region, None, 0, 1, 1.0))], RouteRequest("eu", rtt_seconds=(0.0,))).action in {
        "serve",
        "hold",
    }


def ready(free_rows: int = 0) -> ReceivedReport:
    return ReceivedReport(LoadReport(state="ready", free_rows=free_rows), {}, 1.0)


def test_a_full_pod_gets_no_more_than_it_took_and_each_report_an_eighth_more() -> None:
    pod = PodState(PodEndpoint(PodAddress("10.0.0.1")), ready(), open_requests=40)
    pod.record_failure(UpstreamFailure.FULL, 1.0)
    assert pod.free_requests == 0
    assert pod.is_servable(1.0)
    pod.record_report(ready(free_rows=64))
    assert pod.free_requests == 5
    for _ in range(9):
        pod.record_report(ready())
    assert pod.free_requests == pod.max_requests - 40


def serving(running: int, free_rows: int, waiting: int = 0) -> PodState:
    report = LoadReport(state="ready", running_sequences=running, waiting_sequences=waiting, free_rows=free_rows)
    return PodState(PodEndpoint(PodAddress("10.0.0.1")), ReceivedReport(report, {}, 1.0))


def test_own_requests_that_ended_since_the_report_have_left_their_rows() -> None:
    pod = serving(running=3, free_rows=5)
    for _ in range(4):
        pod.record_sent()
    assert (pod.running, pod.waiting, pod.free_rows) == (7, 0, 1)
    for _ in range(4):
        pod.record_ended()
    assert (pod.running, pod.waiting, pod.free_rows) == (3, 0, 5)


def test_a_request_that_ends_lets_a_waiting_one_have_its_row() -> None:
    pod = serving(running=8, free_rows=0, waiting=2)
    pod.record_sent()
    assert (pod.running, pod.waiting) == (8, 3)
    pod.record_ended()
    pod.record_ended()
    assert (pod.running, pod.waiting) == (8, 1)


def test_a_session_that_ends_frees_no_row() -> None:
    pod = serving(running=3, free_rows=5)
    pod.record_ended(has_row=False)
    assert pod.running == 3


def test_requests_on_their_way_count_though_no_report_has_them() -> None:
    pod = serving(running=0, free_rows=8)
    for _ in range(3):
        pod.record_sent()
        pod.unanswered += 1
    pod.record_report(ReceivedReport(LoadReport(state="ready", free_rows=8), {}, 2.0))
    assert pod.running == 3


def test_the_forecast_moves_from_the_report_to_what_is_usual_of_others() -> None:
    pod = serving(running=2, free_rows=6)
    for _ in range(400):
        pod.record_report(ReceivedReport(LoadReport(state="ready", running_sequences=6, free_rows=2), {}, 1.0))
    pod.record_report(ReceivedReport(LoadReport(state="ready", running_sequences=1, free_rows=7), {}, 1.0))
    means = [pod.forecast(1.0 + age, 1.0).mean for age in (0.0, 0.5, 2.0, 60.0)]
    assert means == sorted(means)
    assert means[0] == 1
    assert 5.5 < means[-1] < 6
