"""The zone through PowerDNS: names, types, sizes, and what is refused."""

import dns.flags
import dns.rcode
import pytest
from voxfleet_testbed.dns.processes import DnsServers
from voxfleet_testbed.dns.queries import addresses, ecs_of, query, subnet

ZONE = "tts.example.com."
MODEL = f"voxcpm-1-5.{ZONE}"


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("20.1.2.0/24", "192.0.2.40"),
        ("30.1.2.0/24", "192.0.2.10"),
        ("40.1.2.0/24", "192.0.2.20"),
        ("40.33.2.0/24", "192.0.2.30"),
        ("50.0.0.0/24", "192.0.2.50"),
    ],
)
def test_a_model_resolves_to_the_region_near_the_client(servers: DnsServers, network: str, address: str) -> None:
    for name in (MODEL, f"narrator.voices.{ZONE}", MODEL.swapcase()):
        response = query(servers.port, name, "A", subnet(network))
        assert addresses(response) == {address}
        assert response.flags & dns.flags.AA
        assert response.answer[0].ttl == 30
        assert response.question[0].name.to_text() == name  # 0x20: the case comes back as it was sent


def test_every_type_of_a_model(servers: DnsServers) -> None:
    asia = subnet("2400:1000::/48")
    assert addresses(query(servers.port, MODEL, "AAAA", asia), "AAAA") == {"2001:db8:c::10"}
    https = query(servers.port, MODEL, "HTTPS", asia)
    assert [record.to_text() for record in https.answer[0]] == ['1 . ipv4hint="192.0.2.40" ipv6hint="2001:db8:c::10"']


def test_the_apex_and_glue_are_static(servers: DnsServers) -> None:
    soa = query(servers.port, ZONE, "SOA")
    assert soa.answer[0][0].to_text() == f"ns1.{ZONE} hostmaster.example.com. 1 3600 600 604800 30"
    ns = query(servers.port, ZONE, "NS")
    assert {record.to_text() for record in ns.answer[0]} == {f"ns1.{ZONE}", f"ns2.{ZONE}"}
    glue = {record.to_text() for rrset in ns.additional for record in rrset}
    assert glue == {"192.0.2.53", "2001:db8::53", "198.51.100.53"}
    assert addresses(query(servers.port, f"ns1.{ZONE}", "A")) == {"192.0.2.53"}
    assert addresses(query(servers.port, f"sa-east.regions.{ZONE}", "A", subnet("20.1.2.0/24"))) == {"192.0.2.50"}


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        (f"unknown.{ZONE}", "A", dns.rcode.NXDOMAIN),
        (f"a.b.c.{ZONE}", "A", dns.rcode.NXDOMAIN),
        (f"below.{MODEL}", "A", dns.rcode.NXDOMAIN),
        (f"*.{ZONE}", "A", dns.rcode.NXDOMAIN),
        (MODEL, "TXT", dns.rcode.NOERROR),
        (f"us-west.regions.{ZONE}", "AAAA", dns.rcode.NOERROR),
        (f"regions.{ZONE}", "A", dns.rcode.NOERROR),  # nothing but names below it (RFC 8020)
        (f"voices.{ZONE}", "AAAA", dns.rcode.NOERROR),
        (ZONE, "A", dns.rcode.NOERROR),
    ],
)
def test_names_and_types_that_do_not_exist(servers: DnsServers, name: str, kind: str, rcode: dns.rcode.Rcode) -> None:
    response = query(servers.port, name, kind, subnet("20.1.2.0/24"))
    assert response.rcode() == rcode
    assert not response.answer
    assert [rrset.name.to_text() for rrset in response.authority] == [ZONE]
    assert response.authority[0].ttl == 30
    ecs = ecs_of(response)
    assert ecs is not None
    assert ecs.scopelen == 0  # RFC 7871, 7.4: negative answers are for every client


@pytest.mark.parametrize("name", ["example.com.", "other.example.net.", ".", "com.", "xtts.example.com."])
def test_names_outside_the_zone_are_refused(servers: DnsServers, name: str) -> None:
    assert query(servers.port, name).rcode() == dns.rcode.REFUSED


def test_any_over_udp_is_truncated_and_over_tcp_small(servers: DnsServers) -> None:
    """RFC 8482: no amplification over UDP."""
    udp = query(servers.port, MODEL, "ANY")
    assert udp.flags & dns.flags.TC
    assert not udp.answer
    tcp = query(servers.port, MODEL, "ANY", tcp=True)
    assert {rrset.rdtype.name for rrset in tcp.answer} == {"A", "AAAA", "HTTPS"}
    assert len(tcp.to_wire()) < 512


@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
def test_zones_are_not_transferred(servers: DnsServers, kind: str) -> None:
    response = query(servers.port, ZONE, kind, tcp=True)
    assert response.rcode() in {dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP}
    assert not any(rrset.rdtype.name == "A" for rrset in response.answer)


@pytest.mark.parametrize("payload", [512, 1232, 4096])
def test_answers_stay_within_1232_bytes(servers: DnsServers, payload: int) -> None:
    response = query(servers.port, MODEL, "HTTPS", subnet("2400:1000::/48"), payload=payload)
    assert response.payload == 1232
    assert len(response.to_wire()) <= 512


def test_without_edns_there_is_none_in_the_answer(servers: DnsServers) -> None:
    response = query(servers.port, MODEL, use_edns=False)
    assert response.rcode() == dns.rcode.NOERROR
    assert response.edns == -1
    assert addresses(response) == {"192.0.2.10"}  # the default region: loopback has no place
