"""A published database of the world's networks (ip-location-db, CC0), as its users would load it."""

import base64
import hashlib
import os
import tarfile
import urllib.error
import urllib.request
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import islice
from pathlib import Path

import pytest
from voxfleet_gateway.location.database import LocationDatabase

VERSION = "2.3.2026061719"
URL = (
    f"https://registry.npmjs.org/@ip-location-db/geo-whois-asn-country-mmdb/-/geo-whois-asn-country-mmdb-{VERSION}.tgz"
)
SHA512 = "xemBDNQl4mCYDuVbqe3jKGKsVDykZGkfvebhtOh/3VGLadq8vsp7t7ontpMUt3hH7sAGT0eLDyJ99SV+0waxZg=="
CACHE = Path.home() / ".cache" / "voxfleet" / "location-databases" / VERSION
DOWNLOAD_SECONDS = 120.0


@pytest.fixture(scope="module")
def folder() -> Path:
    """Download the package once; without a registry the tests are skipped, and the summary of the run says so.

    Databases of both schemas that the unit tests write hold the reader without it.
    """
    package = CACHE / "package"
    if package.is_dir():
        return package
    try:
        with urllib.request.urlopen(URL, timeout=DOWNLOAD_SECONDS) as response:
            data = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"the npm registry is away: {error}")
    assert base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512
    partial = CACHE.with_name(f"{VERSION}.{os.getpid()}")
    partial.mkdir(parents=True)
    (partial / "package.tgz").write_bytes(data)
    with tarfile.open(partial / "package.tgz") as archive:
        archive.extractall(partial, filter="data")
    try:
        partial.rename(CACHE)
    except OSError:  # another process of the tests was first
        assert package.is_dir()
    return package


def opened(*paths: Path) -> LocationDatabase:
    database = LocationDatabase(paths)
    database.open()
    return database


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("1.1.1.1", "AU"),
        ("114.114.114.114", "CN"),
        ("193.0.6.139", "NL"),
        ("202.12.27.33", "JP"),
        ("2001:4860:4860::8888", "US"),
        ("2001:67c:2e8:22::c100:68b", "NL"),
        ("::ffff:8.8.8.8", "US"),
    ],
)
def test_well_known_addresses_are_where_they_are(folder: Path, address: str, country: str) -> None:
    for paths in (
        (folder / "geo-whois-asn-country.mmdb",),
        (folder / "geo-whois-asn-country-ipv4.mmdb", folder / "geo-whois-asn-country-ipv6.mmdb"),
    ):
        facts = opened(*paths).lookup(address)
        assert facts is not None
        assert facts.country == country
        network = ip_network(facts.network)
        plain = ip_address(address.removeprefix("::ffff:"))
        assert plain in network


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "::1", "fe80::1", "fd00::1"])
def test_private_addresses_are_nowhere(folder: Path, address: str) -> None:
    assert opened(folder / "geo-whois-asn-country.mmdb").lookup(address) is None


def test_leaves_are_disjoint_in_order_and_what_lookups_return(folder: Path) -> None:
    database = opened(folder / "geo-whois-asn-country-ipv4.mmdb")
    end = IPv4Address(0)
    count = 0
    for facts in islice(database.networks(), 20_000):
        network = ip_network(facts.network)
        assert isinstance(network.network_address, IPv4Address)
        assert network.network_address >= end
        end = network.broadcast_address
        count += 1
        if count % 100 == 0:
            assert database.lookup(str(network.network_address)) == facts == database.lookup(str(end))
    assert count == 20_000
