"""Leaves of databases, with their lengths where nothing is known too, and the smallest of several files."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from voxfleet_gateway.dns.inputs.leaves import LeafFinder
from voxfleet_gateway.location.database import LocationDatabase

CHINA: Mapping[str, Any] = {"country": {"iso_code": "CN"}, "location": {"latitude": 31.2, "longitude": 121.5}}


def database(folder: Path, **files: Mapping[str, Mapping[str, Any]]) -> LeafFinder:
    for name, networks in files.items():
        version = 4 if name.endswith("4") else 6
        writer = MMDBWriter(version, ipv4_compatible=version == 6)
        for network, record in networks.items():
            writer.insert_network(IPSet([network]), record)
        writer.to_db_file(str(folder / f"{name}.mmdb"))
    found = LocationDatabase((folder,))
    found.open()
    return LeafFinder(found.files)


def test_a_leaf_has_its_facts_and_its_length(tmp_path: Path) -> None:
    finder = database(tmp_path, places={"20.0.0.0/12": CHINA, "2400::/20": CHINA})
    leaf = finder.find(ip_address("20.1.2.0"))
    assert (leaf.facts.country, leaf.facts.latitude, leaf.prefix_length) == ("CN", 31.2, 12)
    assert finder.find(ip_address("2400:1::")).prefix_length == 20
    assert finder.find(ip_address("20.1.2.0")) is leaf  # kept


def test_where_nothing_is_known_the_leaf_has_a_length_too(tmp_path: Path) -> None:
    finder = database(tmp_path, places={"20.0.0.0/12": CHINA})
    leaf = finder.find(ip_address("20.64.0.0"))
    assert (leaf.facts.country, leaf.prefix_length) == ("", 10)


def test_of_several_files_the_smallest_leaf_counts_also_an_unknown_one(tmp_path: Path) -> None:
    """Otherwise the scope of 20.1/16, unknown to the one file, would cover 20.1.2/24, which it knows."""
    finder = database(tmp_path, places={"20.0.0.0/12": CHINA}, numbers={"20.1.2.0/24": {"asn": 64496}})
    assert (finder.find(ip_address("20.1.2.0")).facts.asn, finder.find(ip_address("20.1.2.0")).prefix_length) == (
        64496,
        24,
    )
    neighbour = finder.find(ip_address("20.1.3.0"))
    assert (neighbour.facts.country, neighbour.facts.asn, neighbour.prefix_length) == ("CN", None, 24)


def test_a_file_of_ipv4_says_nothing_of_ipv6(tmp_path: Path) -> None:
    finder = database(tmp_path, places4={"20.0.0.0/12": CHINA})
    assert finder.find(ip_address("2400::")).prefix_length == 0
    assert finder.find(ip_address("20.1.2.0")).prefix_length == 12


def test_without_files_nothing_is_known() -> None:
    assert LeafFinder({}).find(ip_address("20.1.2.0")).prefix_length == 0


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.dns.inputs.leaves.MAX_CACHED", 3)
    finder = LeafFinder({})
    for number in range(10):
        finder.find(ip_address(number))
        assert len(finder._found) <= 3
