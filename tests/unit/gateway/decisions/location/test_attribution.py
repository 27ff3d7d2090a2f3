"""Makers are found by the types that their files name."""

import pytest
from voxfleet_gateway.decisions.location.attribution import attribution_of


@pytest.mark.parametrize(
    ("kind", "maker"),
    [
        ("DBIP-City-Lite", "DB-IP"),
        ("DBIP-Country-Lite", "DB-IP"),
        ("GeoLite2-City", "MaxMind"),
        ("ipinfo generic_lite.mmdb", "IPinfo"),
    ],
)
def test_a_maker_that_asks_for_it_is_named(kind: str, maker: str) -> None:
    found = attribution_of(kind)
    assert found is not None
    assert maker in found.text
    assert found.url.startswith("https://")


@pytest.mark.parametrize("kind", ["", "country ipvAll", "Test", "GeoIP2-City"])
def test_others_need_none(kind: str) -> None:
    assert attribution_of(kind) is None
