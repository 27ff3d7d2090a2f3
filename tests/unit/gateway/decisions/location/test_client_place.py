"""One value for routing, allowed clients and round trips."""

from ipaddress import ip_address

from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, place_by_headers, place_of
from voxfleet_gateway.decisions.location.country_centers import country_center
from voxfleet_gateway.regions import Location

PUBLIC, PRIVATE = ip_address("8.8.8.8"), ip_address("10.0.0.1")


def test_a_database_gives_country_and_place() -> None:
    place = place_of(PUBLIC, AddressFacts("8.8.8.0/24", "US", 15169, 37.75, -97.82), is_direct=True)
    assert (place.country, place.location, place.is_direct) == ("US", Location(37.75, -97.82), True)
    assert place.network.prefix == "8.8.8.0/24"


def test_a_country_without_a_place_has_its_center() -> None:
    place = place_of(PUBLIC, AddressFacts("8.8.8.0/24", "US"), is_direct=False)
    assert place.location == country_center("US") is not None
    assert place.network.location is None  # round trips are not learned for the center


def test_an_address_that_is_not_public_is_nowhere_unless_the_database_knows_it() -> None:
    assert place_of(PRIVATE, None, is_direct=True) == UNKNOWN
    assert place_of(PRIVATE, AddressFacts("10.0.0.0/8", "DE"), is_direct=True).country == "DE"
    assert place_of(None, None, is_direct=True) == UNKNOWN
    assert place_of(PUBLIC, None, is_direct=True).network.prefix == "8.8.8.0/24"


def test_headers_give_country_and_place_and_the_address_groups() -> None:
    place = place_by_headers(PUBLIC, Location(1, 2), "DE")
    assert (place.country, place.location, place.network.prefix) == ("DE", Location(1, 2), "8.8.8.0/24")
    assert place_by_headers(PRIVATE, None, None) == UNKNOWN
