"""Round trips as decisions get them, with where they are from."""

import json

import pytest
from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.decisions.record import DecisionRecord, to_json
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.round_trips import by_distance, round_trips
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import Location
from voxfleet_gateway.replay import replay

REGIONS = (("eu", Location(50.11, 8.68)), ("us", Location(39.04, -77.49)))
BERLIN = ClientPlace(ClientNetwork("192.0.2.0/24", 64496, "DE", Location(52.5, 13.4)))


def test_without_samples_distance_or_an_assumption_counts() -> None:
    assert by_distance(BERLIN, REGIONS, "us") == (
        expected_rtts_seconds(BERLIN.location, REGIONS, "us"),
        "distance",
    )
    assert by_distance(UNKNOWN, REGIONS, "us") == (expected_rtts_seconds(None, REGIONS, "us"), "assumed")


def test_samples_count_for_the_region_that_was_measured() -> None:
    model = RttModel()
    for second in range(5):
        model.record(BERLIN.network, "us", 0.25, prior_seconds=0.14, now_seconds=second * 2.0)
    (eu, us), source = round_trips(model, BERLIN, REGIONS, "us", 10.0)
    assert source == "measured"
    assert us == pytest.approx(0.25, rel=0.05)
    assert eu == expected_rtts_seconds(BERLIN.location, REGIONS, "us")[0]
    assert (eu, us) == (round(eu, 4), round(us, 4))


def test_a_decision_on_learned_round_trips_replays_to_the_same() -> None:
    model = RttModel()
    for second in range(5):
        model.record(BERLIN.network, "eu", 0.9, prior_seconds=0.034, now_seconds=second * 2.0)
    seconds, source = round_trips(model, BERLIN, REGIONS, "us", 10.0)
    request = RouteRequest("us", BERLIN.location, BERLIN.country, seconds, source)
    awake = {"ready_pods": 1, "free_requests": 4, "rows": 4}
    standings = stand_all([RegionView(name, **awake) for name, _ in REGIONS])
    recorded = DecisionRecord(request, standings, decide(standings, request))
    assert recorded.decision.region == "us"
    line = {"event": "request", "request_id": "a"} | to_json(recorded)
    assert line["route_request"]["rtt_source"] == "measured"
    assert "192.0.2" not in json.dumps(line)
    (replayed,) = replay([json.dumps(line)])
    assert replayed.is_same


def test_a_client_without_a_place_learns_by_its_prefix() -> None:
    model, nowhere = RttModel(), ClientPlace(ClientNetwork("192.0.2.0/24"))
    for second in range(5):
        model.record(nowhere.network, "eu", 0.2, prior_seconds=0.026, now_seconds=second * 2.0)
    (eu, _), source = round_trips(model, nowhere, REGIONS, "eu", 10.0)
    assert (source, eu > 0.1) == ("measured", True)
