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
