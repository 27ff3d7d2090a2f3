"""Countries have a place."""

import pytest
from voxfleet_gateway.decisions.client_location import distance_km
from voxfleet_gateway.decisions.location.address_facts import COUNTRY
from voxfleet_gateway.decisions.location.country_centers import TABLE, country_center
from voxfleet_gateway.regions import Location


@pytest.mark.parametrize(
    ("country", "near"),
    [("DE", (51, 10)), ("CN", (32, 114)), ("US", (38, -94)), ("NZ", (-39, 175)), ("FJ", (-18, 178))],
)
def test_a_center_lies_in_its_country(country: str, near: tuple[float, float]) -> None:
    center = country_center(country)
    assert center is not None
    assert distance_km(center, Location(*near)) < 500


def test_every_row_is_a_country_with_a_place() -> None:
    rows = [row.split() for row in TABLE.split(",")]
    assert len(rows) > 240
    assert len({country for country, *_ in rows}) == len(rows)
    for country, *_ in rows:
        assert COUNTRY.fullmatch(country)
        place = country_center(country)
        assert place is not None
        assert abs(place.latitude) <= 90
        assert abs(place.longitude) <= 180
    assert country_center("ZZ") is country_center("") is None
