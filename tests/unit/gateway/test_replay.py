"""A log line is enough to decide a request again."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules, Location
from voxfleet_gateway.replay import replay
from voxfleet_gateway.request_context import RequestContext

VIEWS = (
    RegionView("eu", ready_pods=1, rows=1, free_requests=1),
    RegionView("us", allowed_countries=("US",)),
)
ASKED = RouteRequest("eu", Location(40, -74), rtt_seconds=(0.1, 0.04), rtt_source="distance")
STANDINGS = stand_all(VIEWS)


def line(context: RequestContext) -> str:
    return json.dumps({"event": "request", **context.log_fields()})


def decided() -> RequestContext:
    context = RequestContext("id-1", "POST", "/v1/audio/speech", "eu")
    context.record_decision(DecisionRecord(ASKED, STANDINGS, decide(STANDINGS, ASKED)))
    return context


def test_a_record_is_decided_again_to_the_same_result() -> None:
    (result,) = replay([line(decided())])
    assert (result.request_id, result.is_same, result.decided.decision.region) == ("id-1", True, "eu")


def test_a_different_decision_shows() -> None:
    context = decided()
    assert context.decided is not None
    context.decided = replace(context.decided, decision=replace(context.decided.decision, region="us"))
    (result,) = replay([line(context)])
    assert not result.is_same


def test_other_lines_are_skipped() -> None:
    assert list(replay(["", "text", "[]", '{"event": "listening"}', '{"event": "request", "status": 404}'])) == []


views = st.builds(
    RegionView,
    name=st.sampled_from(["eu", "us", "ap", "sa"]),
    is_reachable=st.booleans(),
    is_suspended=st.booleans(),
    allowed_countries=st.sampled_from([(), ("DE",), ("US", "DE")]),
    failure=st.none() | st.text(max_size=20),
    retry_after_seconds=st.none() | st.floats(0, 1e4),
    price_per_gpu_hour=st.floats(0, 1e6),
    ready_pods=st.integers(0, 3),
    rows=st.integers(0, 640),
    running=st.integers(0, 800),
    waiting=st.integers(0, 500),
    free_requests=st.integers(0, 5),
    circuit_left_seconds=st.floats(0, 60),
    service_seconds=st.floats(0.001, 1e3),
    is_falling_asleep=st.booleans(),
    wake_elapsed_seconds=st.floats(0, 1e4),
    predicted_wake_seconds=st.floats(0.1, 1e4),
    held=st.integers(0, 300),
    free_places=st.integers(0, 2),
)
requests = st.builds(
    RouteRequest,
    gateway_region=st.sampled_from(["eu", "us"]),
    client=st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180)),
    client_country=st.sampled_from([None, "DE", "US", "FR"]),
    rtt_source=st.sampled_from(["assumed", "distance", "measured"]),
    rules=st.builds(GatewayRules, spill=st.booleans(), max_held_requests=st.integers(0, 9)),
    is_model_suspended=st.booleans(),
    tenant=st.text(max_size=10),
    is_admitted=st.booleans(),
)
# Round trips are not rounded: a line holds every digit that the decision was made from.
round_trips = st.lists(st.floats(0, 2), min_size=4, max_size=4)


@given(st.lists(views, max_size=4, unique_by=lambda view: view.name), requests, round_trips)
def test_every_decision_is_the_same_after_the_way_through_a_log_line(
    snapshot: list[RegionView], request: RouteRequest, rtts: list[float]
) -> None:
    asked, standings = replace(request, rtt_seconds=tuple(rtts[: len(snapshot)])), stand_all(snapshot)
    context = RequestContext("id-1", "POST", "/v1/audio/speech", "eu")
    context.record_decision(DecisionRecord(asked, standings, decide(standings, asked)))
    (result,) = replay([line(context)])
    assert result.is_same
    assert result.recorded.record == context.decided
