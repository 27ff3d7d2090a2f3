"""Queries about a zone, sent to a name server on a loopback port that is parent and child at once."""

import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
from voxfleet_cli.doctor.checks import examine
from voxfleet_cli.doctor.facts import Facts, State
from voxfleet_cli.doctor.zone_facts import Delegation
from voxfleet_cli.doctor.zone_queries import DnsClient, zone_of

HOST = "127.0.0.1"
PARENT, ZONE = "example.com.", "tts.example.com."
SOA = "ns1.{zone} hostmaster.{zone} {serial} 3600 600 604800 30"
RECORDS = {  # name, type -> content
    (PARENT, "SOA"): SOA.format(zone=PARENT, serial=1),
    (PARENT, "NS"): "parent.example.com.",
    ("parent.example.com.", "A"): HOST,
    (ZONE, "SOA"): SOA.format(zone=ZONE, serial=7),
    (ZONE, "NS"): f"ns1.{ZONE}",
    (f"ns1.{ZONE}", "A"): HOST,
    (f"narrator.apps.{ZONE}", "A"): "203.0.113.10",
}
FILE = {
    "zone": "tts.example.com",
    "serial": 7,
    "ttl": 30,
    "nameServers": [{"name": "NS1.tts.example.com.", "addresses": [HOST]}],
    "regions": [{"name": "eu", "addresses": ["203.0.113.10"]}],
}
RESOURCE = {"metadata": {"namespace": "apps", "name": "narrator"}, "spec": {"regions": [{"name": "eu"}]}}


def answer(query: dns.message.Message, records: dict[tuple[str, str], str]) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA | dns.flags.RA
    (question,) = query.question
    name = question.name.to_text()
    kind = dns.rdatatype.to_text(question.rdtype)
    if (name, kind) in records:
        response.answer.append(dns.rrset.from_text(question.name, 30, "IN", kind, records[name, kind]))
        if kind == "NS" and (glue := records.get((records[name, kind], "A"))):
            response.additional.append(dns.rrset.from_text(records[name, kind], 30, "IN", "A", glue))
    else:
        zone = ZONE if name.endswith(ZONE) and (ZONE, "SOA") in records else PARENT
        response.authority.append(dns.rrset.from_text(zone, 30, "IN", "SOA", records[zone, "SOA"]))
        if not any(known == name for known, _ in records):
            response.set_rcode(dns.rcode.NXDOMAIN)
    return response


@pytest.fixture
def records() -> dict[tuple[str, str], str]:
    return dict(RECORDS)


@pytest.fixture
def client(records: dict[tuple[str, str], str]) -> Iterator[DnsClient]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))

        def serve() -> None:
            while True:
                data, sender = server.recvfrom(4096)
                if data == b"end":
                    return
                server.sendto(answer(dns.message.from_wire(data), records).to_wire(), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [HOST], port
        yield DnsClient(resolver, port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", (HOST, port))
        thread.join()


def test_a_zone_that_is_right_passes_the_check(client: DnsClient) -> None:
    zone = zone_of(FILE, [RESOURCE], client)
    assert zone.name_servers == {"ns1.tts.example.com": {HOST}}
    assert zone.delegation == Delegation(
        "example.com", "", frozenset({"ns1.tts.example.com"}), {"ns1.tts.example.com": frozenset({HOST})}
    )
    (finding,) = (each for each in examine(Facts("vox", "demand", 0.0, zone=zone)) if each.check == "DNS zone")
    assert finding.state is State.OK, finding


def test_each_mistake_is_observed(client: DnsClient, records: dict[tuple[str, str], str]) -> None:
    records[ZONE, "SOA"] = SOA.format(zone=ZONE, serial=6)
    del records[ZONE, "NS"]
    records[f"narrator.apps.{ZONE}", "A"] = "192.0.2.1"
    zone = zone_of(FILE, [RESOURCE], client)
    assert zone.servers[0].serial == 6
    assert zone.delegation == Delegation("example.com")
    assert zone.names[0].addresses == {"192.0.2.1"}


def test_a_server_that_refuses_says_so(client: DnsClient, records: dict[tuple[str, str], str]) -> None:
    del records[ZONE, "SOA"]
    assert zone_of(FILE, [], client).servers[0].error == "it answers NOERROR without an SOA record"


def test_a_name_that_does_not_exist_is_an_error(client: DnsClient) -> None:
    assert "does not exist" in client.resolved("nothing.tts.example.com").error


def test_a_parent_without_an_address_is_named(client: DnsClient, records: dict[tuple[str, str], str]) -> None:
    del records["parent.example.com.", "A"]
    found = client.delegation("tts.example.com")
    assert (found.parent, found.error) == ("example.com", "none of its name servers has an address")
