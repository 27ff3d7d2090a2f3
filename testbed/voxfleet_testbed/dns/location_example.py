"""Writes a small location database in MaxMind's format: a few networks of five continents.

Knows: the nested schema. The networks are of no particular owner; a real database comes from DB-IP or MaxMind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """What a network's record has."""

    country: str
    latitude: float
    longitude: float


SHANGHAI, TOKYO = Place("CN", 31.22, 121.46), Place("JP", 35.69, 139.69)
BERLIN, PARIS = Place("DE", 52.52, 13.40), Place("FR", 48.86, 2.35)
NEW_YORK, SEATTLE, SAO_PAULO = Place("US", 40.71, -74.01), Place("US", 47.61, -122.33), Place("BR", -23.55, -46.63)

EXAMPLE_NETWORKS: Mapping[str, Place] = {
    "20.0.0.0/12": SHANGHAI,
    "20.16.0.0/12": TOKYO,
    "20.32.0.0/12": NEW_YORK,
    "30.0.0.0/9": BERLIN,
    "30.128.0.0/9": PARIS,
    "40.0.0.0/11": NEW_YORK,
    "40.32.0.0/11": SEATTLE,
    "50.0.0.0/24": SAO_PAULO,
    "50.0.1.0/25": SHANGHAI,
    "50.0.1.128/25": BERLIN,
    "50.0.2.0/23": BERLIN,
    "2400:1000::/24": SHANGHAI,
    "2a00:1000::/24": BERLIN,
    "2600:1000::/24": NEW_YORK,
    "2600:2000:0:100::/56": SEATTLE,
}


def write_location_database(path: Path, networks: Mapping[str, Place] = EXAMPLE_NETWORKS) -> Path:
    """Write the database and return its path."""
    from mmdb_writer import MMDBWriter  # noqa: PLC0415  # of the development environment alone
    from netaddr import IPSet  # type: ignore[import-untyped]  # noqa: PLC0415

    writer = MMDBWriter(6, "VoxFleet-Example-City", ipv4_compatible=True, languages=["en"], description="example")
    for network, place in networks.items():
        location = {"latitude": place.latitude, "longitude": place.longitude, "accuracy_radius": 50}
        writer.insert_network(IPSet([network]), {"country": {"iso_code": place.country}, "location": location})
    partial = path.with_suffix(".partial")
    writer.to_db_file(str(partial))
    partial.replace(path)  # a reader sees the whole file or none
    return path
