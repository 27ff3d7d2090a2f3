"""Where a client is, and which peers may report it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.client_location import (
    PRIOR_SECONDS,
    Location,
    distance_km,
    expected_rtt_seconds,
    given_place,
    parse_location,
)

FRANKFURT, ASHBURN = Location(50.11, 8.68), Location(39.04, -77.49)
locations = st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "91,0", "0,181", "nan,0", "inf,inf", "50.1;8.6"])
def test_anything_else_is_no_location(text: str) -> None:
    assert parse_location(text) is None


def test_a_location_is_read() -> None:
    assert parse_location("50.11, 8.68") == FRANKFURT


@pytest.mark.parametrize("countries", [["DE", "US"], ["DE", "DE"], ["DE,US"], ["de"], ["DEU"], [""], ["D\u00cb"]])
def test_a_country_that_is_not_given_exactly_once_is_unknown(countries: list[str]) -> None:
    assert given_place(["1,2", "3,4"], countries) == (None, None)


def test_what_a_proxy_says_once_is_read() -> None:
    assert given_place(["1,2"], ["DE"]) == (Location(1, 2), "DE")
    assert given_place([], []) == (None, None)


def test_the_prior_matches_the_measurements() -> None:
    assert distance_km(FRANKFURT, ASHBURN) == pytest.approx(6500, rel=0.02)
    assert expected_rtt_seconds(FRANKFURT, ASHBURN) == pytest.approx(0.0263 + 0.0171 * 6.5, rel=0.02)
    assert expected_rtt_seconds(None, ASHBURN) == expected_rtt_seconds(FRANKFURT, None) > PRIOR_SECONDS


@given(locations, locations)
def test_distance_is_a_distance(a: Location, b: Location) -> None:
    assert 0 <= distance_km(a, b) <= math.pi * 6371.001
    assert distance_km(a, b) == pytest.approx(distance_km(b, a), abs=1e-6)
    assert expected_rtt_seconds(a, b) >= PRIOR_SECONDS
