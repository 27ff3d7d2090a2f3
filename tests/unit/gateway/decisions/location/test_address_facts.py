"""Records of every known schema, and of none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.location.address_facts import AddressFacts, merge, parse_record

NET = "192.0.2.0/24"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KEYS = ("country", "country_code", "iso_code", "location", "latitude", "longitude", "lat", "lng", "asn", "as_number")
records = st.dictionaries(st.sampled_from((*KEYS, "autonomous_system_number", "registered_country")), json_values)


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        pytest.param(
            {"country": {"iso_code": "DE"}, "location": {"latitude": 50.1, "longitude": 8.7, "accuracy_radius": 20}},
            AddressFacts(NET, "DE", None, 50.1, 8.7),
            id="MaxMind City and DB-IP",
        ),
        pytest.param({"country": {"iso_code": "DE"}}, AddressFacts(NET, "DE"), id="MaxMind Country"),
        pytest.param(
            {"registered_country": {"iso_code": "FR"}}, AddressFacts(NET, "FR"), id="no country but registered"
        ),
        pytest.param(
            {"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "FR"}},
            AddressFacts(NET, "DE"),
            id="country before the registered one",
        ),
        pytest.param(
            {"autonomous_system_number": 64496, "autonomous_system_organization": "A"},
            AddressFacts(NET, asn=64496),
            id="MaxMind ASN",
        ),
        pytest.param(
            {"country_code": "CN", "state1": "Shanghai", "city": "Shanghai", "latitude": 31.2, "longitude": 121.5},
            AddressFacts(NET, "CN", None, 31.2, 121.5),
            id="ip-location-db city",
        ),
        pytest.param({"country_code": "AU"}, AddressFacts(NET, "AU"), id="ip-location-db country"),
        pytest.param(
            {"asn": "AS64496", "country": "United States", "country_code": "US", "continent_code": "NA"},
            AddressFacts(NET, "US", 64496),
            id="IPinfo Lite",
        ),
        pytest.param(
            {"country": "us", "lat": "40.7", "lng": "-74", "asn": ""},
            AddressFacts(NET, "US", None, 40.7, -74.0),
            id="IPinfo, numbers as text",
        ),
        pytest.param({"country_code": "ZZ", "latitude": 0.0, "longitude": 0.0}, AddressFacts(NET), id="unknown"),
        pytest.param({"latitude": 91.0, "longitude": 5.0}, AddressFacts(NET), id="outside"),
        pytest.param({"latitude": 10**400, "longitude": 5.0}, AddressFacts(NET), id="no float"),
        pytest.param({"latitude": 10.0}, AddressFacts(NET), id="half a place"),
        pytest.param({"asn": 2**32}, AddressFacts(NET), id="no AS number"),
        pytest.param({"asn": True, "latitude": True, "longitude": True}, AddressFacts(NET), id="booleans"),
        pytest.param(None, AddressFacts(NET), id="nothing"),
        pytest.param(["DE"], AddressFacts(NET), id="a list"),
    ],
)
def test_every_schema_gives_the_same_facts(record: Any, facts: AddressFacts) -> None:
    assert parse_record(NET, record) == facts
    assert facts.is_empty is (facts == AddressFacts(NET))


@given(json_values | records)
def test_any_record_is_read_and_what_is_known_is_within_bounds(record: Any) -> None:
    facts = parse_record(NET, record)
    assert facts.country == "" or (len(facts.country) == 2 and facts.country.isascii() and facts.country.isupper())
    assert facts.asn is None or 0 < facts.asn < 2**32
    assert (facts.latitude is None) == (facts.longitude is None)
    assert facts.latitude is None or abs(facts.latitude) <= 90
    assert facts.longitude is None or abs(facts.longitude) <= 180


def test_databases_add_to_one_another() -> None:
    country, asn = AddressFacts("192.0.0.0/16", "DE"), AddressFacts(NET, asn=64496)
    city = AddressFacts("192.0.2.0/25", "CH", None, 47.4, 8.5)
    assert merge([country, asn]) == AddressFacts(NET, "DE", 64496)
    assert merge([country, asn, city]) == AddressFacts("192.0.2.0/25", "CH", 64496, 47.4, 8.5)
    assert merge([AddressFacts("192.0.2.0/28"), country]) == country
    assert merge([]) is merge([AddressFacts(NET)]) is None
