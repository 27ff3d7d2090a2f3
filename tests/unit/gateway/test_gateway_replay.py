"""A log line is enough to decide again."""

import json
from dataclasses import replace

from voxfleet_gateway.decisions.client_location import Location
from voxfleet_gateway.decisions.routing import RegionView, RouteRequest, decide
from voxfleet_gateway.replay import replay
from voxfleet_gateway.server.request_context import RequestContext

VIEWS = (
    RegionView("eu", Location(50, 8), ready_pods=1, rows=1, free_requests=1),
    RegionView("us", allowed_countries=("US",)),
)
ASKED = RouteRequest("eu", Location(40, -74))


def line(context: RequestContext) -> str:
    return json.dumps({"event": "request", **context.record()})


def decided() -> RequestContext:
    context = RequestContext("id-1", "POST", "/v1/audio/speech", "eu")
    context.decided(ASKED, VIEWS, decide(VIEWS, ASKED))
    return context


def test_a_record_is_decided_again_to_the_same_result() -> None:
    (result,) = replay([line(decided())])
    assert (result.request_id, result.same, result.decided.region) == ("id-1", True, "eu")


def test_a_different_decision_shows() -> None:
    context = decided()
    assert context.decision is not None
    context.decision = replace(context.decision, region="us")
    (result,) = replay([line(context)])
    assert not result.same


def test_other_lines_are_skipped() -> None:
    assert list(replay(["", "text", "[]", '{"event": "listening"}', '{"event": "request", "status": 404}'])) == []
