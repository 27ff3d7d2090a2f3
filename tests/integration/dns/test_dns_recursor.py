"""PowerDNS Recursor in front: no answer of one scope reaches a client of another (RFC 7871, 7.3.1, 7.5, 11.3)."""

import urllib.request
from collections.abc import Iterator

import dns.message
import dns.rcode
import pytest
from voxfleet_testbed.dns.processes import LOOPBACK, DnsServers, start_recursor
from voxfleet_testbed.dns.queries import addresses, query, subnet
from voxfleet_testbed.network.addresses import ports_for_later

ZONE = "tts.example.com."
MODEL = f"voxcpm-1-5.{ZONE}"

EXPECTED = {
    "20.1.2.0/24": "192.0.2.40",
    "30.1.2.0/24": "192.0.2.10",
    "20.17.9.0/24": "192.0.2.40",
    "20.33.2.0/24": "192.0.2.20",
    "40.33.2.0/24": "192.0.2.30",
    "50.0.0.0/24": "192.0.2.50",
    "50.0.1.0/24": "192.0.2.40",
    "50.0.2.0/24": "192.0.2.10",
    "198.51.100.0/24": "192.0.2.10",
    "2400:1000::/56": "192.0.2.40",
    "2a00:1000::/56": "192.0.2.10",
    "2600:2000:0:100::/56": "192.0.2.30",
}


@pytest.fixture(scope="module")
def recursor(servers: DnsServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    (port,) = ports_for_later(1)
    running = start_recursor(
        tmp_path_factory.mktemp("recursor"), port, {ZONE.rstrip("."): f"{LOOPBACK}:{servers.port}"}
    )
    yield port
    running.stop()


def ask(port: int, network: str) -> dns.message.Message:
    return query(port, MODEL, "A", subnet(network), recurse=True)


def test_every_client_gets_its_own_regions_answer_in_any_order(recursor: int) -> None:
    for networks in (list(EXPECTED), list(reversed(EXPECTED)), list(EXPECTED)):
        for network in networks:
            response = ask(recursor, network)
            assert response.rcode() == dns.rcode.NOERROR
            assert addresses(response) == {EXPECTED[network]}, network


def test_clients_without_the_option_and_opted_out_get_the_untailored_answer_after_tailored_ones(recursor: int) -> None:
    for network in EXPECTED:
        ask(recursor, network)
    assert addresses(ask(recursor, "0.0.0.0/0")) == {"192.0.2.10"}
    assert addresses(query(recursor, MODEL, "A", recurse=True)) == {"192.0.2.10"}
    for network, address in EXPECTED.items():  # and the untailored ones replace none of the tailored ones
        assert addresses(ask(recursor, network)) == {address}


def lookups(servers: DnsServers) -> float:
    """Return how many lookups of models the engine has answered."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{servers.metrics_port}/metrics", timeout=20) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("voxfleet_dns_answers_total"))


def test_neighbours_of_one_scope_share_a_cached_answer(recursor: int, servers: DnsServers) -> None:
    """The scope that PowerDNS returned is used: a scope as long as the source would bring ten lookups."""
    name = f"narrator.voices.{ZONE}"
    first = query(recursor, name, "A", subnet("30.7.1.0/24"), recurse=True)
    before = lookups(servers)
    assert before > 0
    for third in range(2, 12):
        again = query(recursor, name, "A", subnet(f"30.200.{third}.0/24"), recurse=True)
        assert addresses(again) == addresses(first) == {"192.0.2.10"}
    assert lookups(servers) == before
