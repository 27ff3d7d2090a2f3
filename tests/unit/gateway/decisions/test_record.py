"""The decision record survives the way through a log line."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.record import DecisionRecord, from_json, to_json
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules, Location
from voxfleet_gateway.request_context import new_context

locations = st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))
views = st.builds(
    RegionView,
    name=st.sampled_from(["eu", "us", "ap"]),
    allowed_countries=st.sampled_from([(), ("DE",)]),
    failure=st.none() | st.text(max_size=20),
    ready_pods=st.integers(0, 2),
    rows=st.integers(0, 8),
    running=st.integers(0, 8),
    free_requests=st.integers(0, 8),
)
snapshots = st.lists(views, max_size=3, unique_by=lambda view: view.name).map(tuple)
rules = st.builds(GatewayRules, max_held_requests=st.integers(0, 2), spill=st.booleans())
requests = st.builds(RouteRequest, gateway_region=st.just("eu"), client=locations, rules=rules)


def recorded(snapshot: tuple[RegionView, ...], request: RouteRequest) -> DecisionRecord:
    standings = stand_all(snapshot)
    return DecisionRecord(request, standings, decide(standings, request))


@given(snapshots, requests)
def test_a_record_is_read_as_it_was_written(snapshot: tuple[RegionView, ...], request: RouteRequest) -> None:
    record = recorded(snapshot, replace(request, rtt_seconds=tuple(0.1 * len(view.name) for view in snapshot)))
    assert from_json(json.loads(json.dumps(to_json(record)))) == (record, record.scores)


def test_the_keys_of_the_log_line() -> None:
    snapshot = (RegionView("eu", rows=3, held=1), RegionView("us", allowed_countries=("US",), held=1))
    written = to_json(recorded(snapshot, RouteRequest("eu", rtt_seconds=(0.03, 0.1))))
    assert {*written} == {"route_request", "region_views", "decision"}
    columns = {"name": ["eu", "us"], "rows": [3, 0], "allowed_countries": [(), ("US",)]}
    assert written["region_views"] == columns | {"same": {"held": 1}}
    assert written["decision"]["filtered_by"] == {"us": "forbidden"}
    assert written["decision"]["score_seconds"][1] is None


def test_the_line_of_a_request_in_32_busy_regions_is_below_4_kb() -> None:
    snapshot = tuple(
        RegionView(
            f"north-america-{number}",
            allowed_countries=("US", "CA"),
            price_per_gpu_hour=round(1.01 + number, 2),
            ready_pods=12,
            rows=384,
            running=300 + number,
            waiting=100 + number,
            free_requests=500 + number,
            service_seconds=round(12.345 + number, 3),
            predicted_wake_seconds=round(123.45 + number, 2),
        )
        for number in range(32)
    )
    request = RouteRequest(
        "north-america-1",
        Location(48.137154, 11.576124),
        "US",
        rtt_seconds=tuple(round(0.0263 + number / 1000, 4) for number in range(32)),
        rtt_source="distance",
        tenant="some-tenant-of-a-customer",
    )
    context = new_context("0" * 36, "POST", "/v1/audio/speech", "north-america-1")
    context.record_decision(recorded(snapshot, request))
    logged = {"event": "request", "level": "info", "time": "2026-11-29T18:00:00.000000Z"} | context.log_fields()
    line = json.dumps(logged, separators=(",", ":"))  # as telemetry.py writes it
    assert len(line) < 4096
    assert from_json(json.loads(line)).record == context.decided
