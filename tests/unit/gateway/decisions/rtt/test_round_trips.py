"""Round trips as decisions get them, with where they are from."""

import pytest
from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.round_trips import by_distance, round_trips
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.regions import Location

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


def test_a_client_without_a_place_learns_by_its_prefix() -> None:
    model, nowhere = RttModel(), ClientPlace(ClientNetwork("192.0.2.0/24"))
    for second in range(5):
        model.record(nowhere.network, "eu", 0.2, prior_seconds=0.026, now_seconds=second * 2.0)
    (eu, _), source = round_trips(model, nowhere, REGIONS, "eu", 10.0)
    assert (source, eu > 0.1) == ("measured", True)
