"""RFC 7871 through PowerDNS, by section. docs/dns.md lists where PowerDNS 4.7.3 differs from the RFC."""

import dns.edns
import dns.flags
import dns.rcode
import pytest
from voxfleet_testbed.dns.processes import DnsServers
from voxfleet_testbed.dns.queries import addresses, ecs_of, query, subnet

ZONE = "tts.example.com."
MODEL = f"voxcpm-1-5.{ZONE}"
ECS = dns.edns.OptionType.ECS


# Section 7.2.1: the scope of a tailored answer. The networks are those of the example's location database.
@pytest.mark.parametrize(
    ("network", "address", "scope"),
    [
        ("20.1.2.0/24", "192.0.2.40", 11),  # Shanghai and Tokyo, two /12, have one answer: joined
        ("20.17.2.0/24", "192.0.2.40", 11),
        ("20.33.2.0/24", "192.0.2.20", 12),
        ("30.1.2.0/24", "192.0.2.10", 8),  # Berlin and Paris; their neighbours have another basis
        ("40.1.2.0/24", "192.0.2.20", 11),
        ("40.33.2.0/24", "192.0.2.30", 11),
        ("50.0.0.0/24", "192.0.2.50", 24),
        ("50.0.1.0/24", "192.0.2.40", 24),  # two leaves of /25: never longer than /24
        ("50.0.2.0/24", "192.0.2.10", 23),
        ("50.0.3.7/32", "192.0.2.10", 23),  # a longer source than needed
        ("20.0.0.0/8", "192.0.2.40", 11),  # a shorter source than needed: the longer scope says so
        ("2400:1000::/48", "192.0.2.40", 24),
        ("2600:2000:0:100::/56", "192.0.2.30", 56),
        ("198.51.100.0/24", "192.0.2.10", 1),  # nothing is known: the default region, and not scope 0
        ("10.1.2.0/24", "192.0.2.10", 4),  # 11.2, 12.1: private addresses are not located
        ("127.0.0.0/8", "192.0.2.10", 2),
    ],
)
def test_the_scope_is_the_block_that_the_answer_is_for(
    servers: DnsServers, network: str, address: str, scope: int
) -> None:
    response = query(servers.port, MODEL, "A", subnet(network))
    assert addresses(response) == {address}
    found = ecs_of(response)
    assert found is not None
    assert (found.scopelen, found.scopelen >= 1) == (scope, True)


# Section 6: the option of a response mirrors family, source and address.
@pytest.mark.parametrize(
    "network", ["20.1.2.0/24", "20.1.2.3/32", "20.1.0.0/17", "0.0.0.0/1", "2400:1000::/48", "2400:1000:abcd:ef00::/56"]
)
@pytest.mark.parametrize("kind", ["A", "AAAA", "HTTPS", "TXT", "SOA"])
def test_the_option_is_mirrored(servers: DnsServers, network: str, kind: str) -> None:
    response = query(servers.port, MODEL, kind, subnet(network))
    found = ecs_of(response)
    assert found is not None
    address, _, length = network.partition("/")
    assert (found.address, found.srclen, found.family) == (address, int(length), 2 if ":" in network else 1)


# Sections 7.1.2, 7.2.1: a client's opt-out.
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_a_source_of_0_gets_an_untailored_answer_with_scope_0(servers: DnsServers, network: str) -> None:
    response = query(servers.port, MODEL, "A", subnet(network))
    assert addresses(response) == {"192.0.2.10"}
    found = ecs_of(response)
    assert found is not None
    assert (found.srclen, found.scopelen) == (0, 0)


# Section 7.2.2 (and 7.2.1): no option in the query, none in the response.
def test_without_the_option_there_is_none_in_the_response(servers: DnsServers) -> None:
    for use_edns in (True, False):
        response = query(servers.port, MODEL, use_edns=use_edns)
        assert ecs_of(response) is None
        assert addresses(response) == {"192.0.2.10"}


# Section 7.2.1: names whose answers are not tailored have scope 0: they are for every client.
@pytest.mark.parametrize(
    ("name", "kind"),
    [(ZONE, "SOA"), (ZONE, "NS"), (f"ns1.{ZONE}", "A"), (f"eu-central.regions.{ZONE}", "A"), (f"nx.{ZONE}", "A")],
)
def test_answers_that_are_not_tailored_have_scope_0(servers: DnsServers, name: str, kind: str) -> None:
    found = ecs_of(query(servers.port, name, kind, subnet("20.1.2.0/24")))
    assert found is not None
    assert found.scopelen == 0


# Section 7.2.1: "overlapping prefixes": no block of an answer lies in the block of another answer.
def test_scopes_do_not_overlap(servers: DnsServers) -> None:
    blocks: dict[tuple[int, int], set[str]] = {}
    for third in range(0, 256, 3):
        for first in (20, 30, 50):
            address = f"{first}.{third if first != 50 else 0}.{third if first == 50 else 0}.0"
            response = query(servers.port, MODEL, "A", subnet(f"{address}/24"))
            found = ecs_of(response)
            assert found is not None
            value = int.from_bytes(bytes(map(int, address.split("."))), "big")
            start = value >> (32 - found.scopelen) << (32 - found.scopelen)
            blocks.setdefault((start, found.scopelen), set()).update(addresses(response))
    assert all(len(found) == 1 for found in blocks.values())
    for start, length in blocks:
        for other, other_length in blocks:
            if (start, length) != (other, other_length) and length <= other_length:
                assert other >> (32 - length) != start >> (32 - length)


# Section 12.1: a resolver that probes gets answers with and without the option, and beside other options.
def test_a_probe_gets_the_option_back_beside_others(servers: DnsServers) -> None:
    unknown = dns.edns.GenericOption(65001, b"x")
    response = query(servers.port, MODEL, "A", unknown, subnet("20.1.2.0/24"))
    found = ecs_of(response)
    assert found is not None
    assert addresses(response) == {"192.0.2.40"}
    over_tcp = query(servers.port, MODEL, "A", subnet("20.1.2.0/24"), tcp=True)
    assert addresses(over_tcp) == {"192.0.2.40"}


# Sections 6, 7.2.1: malformed options SHOULD get FORMERR. PowerDNS 4.7.3 ignores them: the answer is that for the
# resolver's own address, and it has no option, so that no cache keeps it for the prefix.
MALFORMED = {
    "too few address octets": bytes.fromhex("0001180014"),
    "too many address octets": bytes.fromhex("00011800140102030405"),
    "source longer than the family": bytes.fromhex("0001ff00") + bytes(32),
    "unknown family": bytes.fromhex("00031800140102"),
    "cut off": bytes.fromhex("00"),
    "empty": b"",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_option_leaks_into_no_cache(servers: DnsServers, content: bytes) -> None:
    response = query(servers.port, MODEL, "A", dns.edns.GenericOption(ECS, content))
    if response.rcode() == dns.rcode.FORMERR:  # as the RFC has it
        assert not response.answer
        return
    assert response.rcode() == dns.rcode.NOERROR
    assert ecs_of(response) is None
    assert addresses(response) == {"192.0.2.10"}


# Section 6: "SCOPE PREFIX-LENGTH ... MUST be set to 0 in queries"; bits beyond the source MUST be 0.
@pytest.mark.parametrize("content", [bytes.fromhex("00011818140102"), bytes.fromhex("000114001401ff")])
def test_a_query_with_a_scope_or_stray_bits_gets_formerr_or_a_scoped_answer(
    servers: DnsServers, content: bytes
) -> None:
    response = query(servers.port, MODEL, "A", dns.edns.GenericOption(ECS, content))
    if response.rcode() == dns.rcode.FORMERR:
        return
    assert addresses(response) == {"192.0.2.40"}
    found = ecs_of(response)
    assert found is not None
    assert found.scopelen >= 11
