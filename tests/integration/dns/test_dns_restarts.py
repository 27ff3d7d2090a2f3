"""Engine or PowerDNS restarted, files replaced: answers come back by themselves."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.rcode
import pytest
from voxfleet_testbed.dns.location_example import BERLIN, SHANGHAI, write_location_database
from voxfleet_testbed.dns.processes import DnsServers, running
from voxfleet_testbed.dns.queries import addresses, query, subnet
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.network.addresses import ports_for_later

EXAMPLE = Path(__file__).parents[3] / "examples/dns-zone.yaml"
ZONE = "tts.example.com."
MODEL = f"voxcpm-1-5.{ZONE}"
THREADS = 2  # distributor-threads of the chart's configuration: each has a connection that it must make anew
LONG_SECONDS = 90.0


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def own_servers(_dns_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServers]:
    """Servers that the tests of this module stop; each test leaves them running."""
    folder = tmp_path_factory.mktemp("dns")
    port, metrics_port = ports_for_later(2)
    zone = folder / "zone.yaml"
    zone.write_text(EXAMPLE.read_text())
    database = write_location_database(folder / "places.mmdb")
    servers = DnsServers(folder, zone, port, metrics_port, {"location-database": str(database)})
    with running(servers):
        yield servers


def answer(servers: DnsServers, network: str = "20.1.2.0/24") -> set[str]:
    return addresses(query(servers.port, MODEL, "A", subnet(network)))


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGKILL"])
def test_a_restarted_engine_is_found_again(own_servers: DnsServers, signal_name: str) -> None:
    servers = own_servers
    assert answer(servers) == {"192.0.2.40"}
    assert servers.engine is not None
    servers.engine.stop(kill=signal_name == "SIGKILL")
    assert query(servers.port, MODEL).rcode() == dns.rcode.SERVFAIL
    assert query(servers.port, "example.org.").rcode() == dns.rcode.REFUSED
    servers.start_engine()
    codes = [query(servers.port, MODEL).rcode() for _ in range(20)]
    assert codes.count(dns.rcode.SERVFAIL) <= THREADS
    assert codes[-5:] == [dns.rcode.NOERROR] * 5
    assert answer(servers) == {"192.0.2.40"}


def test_a_restarted_powerdns_finds_the_engine(own_servers: DnsServers) -> None:
    servers = own_servers
    assert servers.powerdns is not None
    servers.powerdns.stop(kill=True)
    servers.start_powerdns()
    assert answer(servers) == {"192.0.2.40"}


def test_an_engine_that_is_stopped_for_a_while_answers_again(own_servers: DnsServers) -> None:
    """A process that hangs: PowerDNS gives up after its timeout, and connects anew."""
    servers = own_servers
    assert answer(servers) == {"192.0.2.40"}
    assert servers.engine is not None
    servers.engine.process.send_signal(signal.SIGSTOP)
    try:
        response = query(servers.port, MODEL)
        assert response.rcode() == dns.rcode.SERVFAIL
    finally:
        servers.engine.process.send_signal(signal.SIGCONT)
    wait_until(lambda: answer(servers) == {"192.0.2.40"})


def test_a_replaced_zone_file_and_database_are_used(own_servers: DnsServers) -> None:
    servers = own_servers
    text = servers.zone_file.read_text()
    servers.zone_file.write_text("zone: [")
    assert servers.engine is not None
    wait_until(lambda: "zone_file_not_reloaded" in servers.engine.output())  # type: ignore[union-attr]
    assert answer(servers) == {"192.0.2.40"}
    partial = servers.zone_file.with_suffix(".new")
    partial.write_text(text.replace("192.0.2.40", "192.0.2.41").replace("name: narrator", "name: reader"))
    partial.replace(servers.zone_file)
    wait_until(lambda: answer(servers) == {"192.0.2.41"})
    assert query(servers.port, f"narrator.voices.{ZONE}").rcode() == dns.rcode.NXDOMAIN
    assert query(servers.port, f"reader.voices.{ZONE}").rcode() == dns.rcode.NOERROR
    write_location_database(
        Path(servers.engine_options["location-database"]), {"20.0.0.0/12": BERLIN, "30.0.0.0/9": SHANGHAI}
    )
    wait_until(lambda: answer(servers) == {"192.0.2.10"})
    assert answer(servers, "30.1.2.0/24") == {"192.0.2.41"}


def test_a_wrong_zone_file_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    zone = tmp_path / "zone.yaml"
    zone.write_text("zone: tts.example.com\nnameServers: [{name: ns1.tts.example.com}]\n")
    servers = DnsServers(tmp_path, zone, 0, 0)
    with pytest.raises(UnavailableError, match=r"zone.yaml: .*'ns1.tts.example.com'.*needs addresses"):
        servers.start_engine()
