"""The engine and PowerDNS as processes on loopback ports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import DnsServers, running
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.packages import DNS_PACKAGE_OF, install_packages
from voxfleet_testbed.settings import Settings

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/dns-zone.yaml"


@pytest.fixture(scope="session")
def _dns_packages(testbed_settings: Settings) -> None:
    with skipping(testbed_settings):
        install_packages(table=DNS_PACKAGE_OF)


@contextlib.contextmanager
def serving(folder: Path, zone: Path = EXAMPLE, **options: str) -> Iterator[DnsServers]:
    """Serve a zone with the example's location database."""
    port, metrics_port = ports_for_later(2)
    database = write_location_database(folder / "places.mmdb")
    flags = {"location-database": str(database), **{name.replace("_", "-"): value for name, value in options.items()}}
    with running(DnsServers(folder, zone, port, metrics_port, flags)) as servers:
        yield servers


@pytest.fixture(scope="module")
def servers(_dns_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServers]:
    with serving(tmp_path_factory.mktemp("dns")) as found:
        yield found
