"""The decision record survives the way through a log line."""

import json

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.client_location import Location
from voxfleet_gateway.decisions.record import DecisionRecord, from_json, to_json
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules

locations = st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))
views = st.builds(
    RegionView,
    name=st.sampled_from(["eu", "us", "ap"]),
    location=locations,
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


@given(snapshots, requests)
def test_a_record_is_read_as_it_was_written(snapshot: tuple[RegionView, ...], request: RouteRequest) -> None:
    record = DecisionRecord(request, snapshot, decide(snapshot, request))
    assert from_json(json.loads(json.dumps(to_json(record)))) == record


def test_the_keys_of_the_log_line() -> None:
    snapshot = (RegionView("eu"),)
    written = to_json(DecisionRecord(RouteRequest("eu"), snapshot, decide(snapshot, RouteRequest("eu"))))
    assert {*written} == {"route_request", "region_views", "decision"}
    assert {"rows", "free_requests"} <= {*written["region_views"][0]}
    assert {*written["decision"]["scores"][0]} == {"region", "score_seconds", "filtered_by"}
