"""Where a client is, and which peers may report it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.client_location import (
    PRIOR_SECONDS,
    Location,
    client_place,
    distance_km,
    expected_rtt_seconds,
    is_trusted,
    parse_location,
)
from voxfleet_gateway.settings import parse_networks

FRANKFURT, ASHBURN = Location(50.11, 8.68), Location(39.04, -77.49)
TRUSTED = parse_networks("10.0.0.0/8, fd00::/8")
locations = st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "91,0", "0,181", "nan,0", "inf,inf", "50.1;8.6"])
def test_anything_else_is_no_location(text: str) -> None:
    assert parse_location(text) is None


def test_a_location_is_read() -> None:
    assert parse_location("50.11, 8.68") == FRANKFURT


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("fd00::1", True), ("11.0.0.1", False), ("", False), (None, False)],
)
def test_only_the_header_of_a_trusted_peer_is_used(peer: str | None, trusted: bool) -> None:  # noqa: FBT001
    assert is_trusted(peer, TRUSTED) is trusted
    assert client_place(["1,2"], ["DE"], peer, TRUSTED) == ((Location(1, 2), "DE") if trusted else (None, None))
    assert client_place([], [], peer, TRUSTED) == (None, None)


@pytest.mark.parametrize("countries", [["DE", "US"], ["DE", "DE"], ["DE,US"], ["de"], ["DEU"], [""], ["D\u00cb"]])
def test_a_country_that_is_not_given_exactly_once_is_unknown(countries: list[str]) -> None:
    assert client_place(["1,2", "3,4"], countries, "10.0.0.1", TRUSTED) == (None, None)


def test_the_prior_matches_the_measurements() -> None:
    assert distance_km(FRANKFURT, ASHBURN) == pytest.approx(6500, rel=0.02)
    assert expected_rtt_seconds(FRANKFURT, ASHBURN) == pytest.approx(0.0263 + 0.0171 * 6.5, rel=0.02)
    assert expected_rtt_seconds(None, ASHBURN) == expected_rtt_seconds(FRANKFURT, None) > PRIOR_SECONDS


@given(locations, locations)
def test_distance_is_a_distance(a: Location, b: Location) -> None:
    assert 0 <= distance_km(a, b) <= math.pi * 6371.001
    assert distance_km(a, b) == pytest.approx(distance_km(b, a), abs=1e-6)
    assert expected_rtt_seconds(a, b) >= PRIOR_SECONDS
