"""A log line is enough to decide a request again."""

import json
from dataclasses import replace

from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import Location
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
