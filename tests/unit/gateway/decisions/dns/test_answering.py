"""Every request of PowerDNS gets its response, from memory: names, types, scopes, and what is malformed."""

import json
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.answering import EVERY_MODEL, MAX_CACHED, Answered, Answering, ZoneData
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.records import Endpoint, ZoneRecords
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion
from voxfleet_gateway.decisions.dns.scopes import Address, Leaf
from voxfleet_gateway.decisions.dns.served_models import ServedModel
from voxfleet_gateway.decisions.dns.zone import zone_of
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

APEX = "tts.example.com."
ASIA, EUROPE = PlannedRegion("asia"), PlannedRegion("europe")


def find(address: Address) -> Leaf:
    country = {20: "CN", 30: "DE", 31: "CN"}.get(int(address) >> 24 if address.version == 4 else 0, "")
    return Leaf(AddressFacts("", country), 8)


def answering(on_answer: Any = lambda _answered: None) -> Answering:
    model = ServedModel("voices", "narrator", "vox-1.5", ())
    idle = ServedModel("voices", "idle", "idle", ())
    shares = {ClientGroup("CN"): {"asia": 1.0}, ClientGroup("DE"): {"europe": 1.0}}
    data = ZoneData(
        zone_of(APEX, ["ns1.tts.example.com."], ["asia", "europe", "nowhere"], [model, idle]),
        ZoneRecords(APEX, ("ns1.tts.example.com.", "ns.elsewhere.net."), "hostmaster.example.com.", 30, 7),
        {"ns1.tts.example.com.": (ip_address("192.0.2.53"), ip_address("2001:db8::53"))},
        {
            (EVERY_MODEL, "asia"): Endpoint((ip_address("192.0.2.1"), ip_address("2001:db8::1")), 6006, ("h2",)),
            ("voices/narrator", "europe"): Endpoint((ip_address("192.0.2.2"),)),
        },
        {"voices/narrator": ModelPlan((ASIA, EUROPE), shares, "europe"), "voices/idle": ModelPlan(())},
        find,
    )
    return Answering(data, on_answer)


def ask(name: str, kind: str = "ANY", client: str = "20.1.2.0/24", served: Answering | None = None) -> Any:
    parameters = {"qname": name, "qtype": kind, "real-remote": client, "remote": "127.0.0.1", "zone-id": 1}
    line = json.dumps({"method": "lookup", "parameters": parameters}).encode() + b"\n"
    response = (served or answering()).respond(line)
    assert response.endswith(b"\n")
    assert response.count(b"\n") == 1
    return json.loads(response)["result"]


def contents(records: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(record["qtype"], record["content"], record["scopeMask"]) for record in records]


def test_a_model_resolves_to_the_region_of_the_clients_network() -> None:
    asia = ask("vox-1-5.tts.example.com.")
    assert contents(asia) == [
        ("A", "192.0.2.1", 8),
        ("AAAA", "2001:db8::1", 8),
        ("HTTPS", "1 . alpn=h2 port=6006 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1", 8),
    ]
    assert {record["ttl"] for record in asia} == {30}
    europe = contents(ask("narrator.voices.tts.example.com.", client="30.1.2.0/24"))
    assert europe == [("A", "192.0.2.2", 8), ("HTTPS", "1 . ipv4hint=192.0.2.2", 8)]


@pytest.mark.parametrize("client", ["0.0.0.0/0", "::/0"])
def test_a_client_that_opts_out_gets_scope_0_and_an_untailored_answer(client: str) -> None:
    assert contents(ask("vox-1-5.tts.example.com.", "A", client)) == [("A", "192.0.2.2", 0)]


@pytest.mark.parametrize("client", ["nonsense", "", "1.2.3.4/99", "20.1.2.3.4/8"])
def test_a_client_that_cannot_be_read_gets_an_untailored_answer(client: str) -> None:
    assert contents(ask("vox-1-5.tts.example.com.", "A", client)) == [("A", "192.0.2.2", 0)]


@pytest.mark.parametrize(
    ("client", "address"), [("20.1.2.3/32", "192.0.2.1"), ("30.1.2.3", "192.0.2.2"), ("fe80::1%eth0", "192.0.2.2")]
)
def test_a_resolvers_own_address_stands_for_its_clients(client: str, address: str) -> None:
    assert contents(ask("vox-1-5.tts.example.com.", "A", client))[0][:2] == ("A", address)


def test_names_are_compared_without_case() -> None:
    assert contents(ask("VoX-1-5.tTs.eXample.com.", "A")) == [("A", "192.0.2.1", 8)]


def test_the_static_names() -> None:
    assert contents(ask(APEX)) == [
        ("SOA", "ns1.tts.example.com. hostmaster.example.com. 7 3600 600 604800 30", 0),
        ("NS", "ns1.tts.example.com.", 0),
        ("NS", "ns.elsewhere.net.", 0),
    ]
    assert [kind for kind, _, _ in contents(ask(APEX, "SOA"))] == ["SOA"]
    assert contents(ask("ns1.tts.example.com.")) == [("A", "192.0.2.53", 0), ("AAAA", "2001:db8::53", 0)]
    assert contents(ask("asia.regions.tts.example.com.", client="30.0.0.0/24"))[0] == ("A", "192.0.2.1", 0)


@pytest.mark.parametrize(
    "name",
    [
        "regions.tts.example.com.",
        "voices.tts.example.com.",
        "nowhere.regions.tts.example.com.",
        "idle.tts.example.com.",
    ],
)
def test_a_name_without_records_exists(name: str) -> None:
    assert contents(ask(name)) == [("ENT", "", 0)]


@pytest.mark.parametrize("name", ["nx.tts.example.com.", "*.tts.example.com.", "example.com.", "other.net.", "."])
def test_a_name_that_does_not_exist_has_no_records(name: str) -> None:
    assert ask(name) == []


def test_types_that_a_model_has_not() -> None:
    for kind in ("NS", "SOA", "TXT", "CNAME", "DS"):
        assert ask("vox-1-5.tts.example.com.", kind) == []


def call(line: str) -> Any:
    return json.loads(answering().respond(line.encode()))["result"]


def test_the_methods_beside_lookup() -> None:
    assert call('{"method": "initialize", "parameters": {"path": "/x"}}') is True
    domain = {"id": 1, "zone": APEX, "kind": "native", "serial": 7}
    assert call('{"method": "getAllDomains", "parameters": {"include_disabled": true}}') == [domain]
    assert call('{"method": "getDomainInfo", "parameters": {"name": "TTS.example.com"}}') == domain
    assert call('{"method": "getDomainInfo", "parameters": {"name": "com."}}') is False
    assert call('{"method": "getAllDomainMetadata", "parameters": {"name": "tts.example.com."}}') == {}
    assert call('{"method": "getDomainMetadata", "parameters": {"name": "tts.example.com.", "kind": "X"}}') == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[]",
        "null",
        "3",
        '"lookup"',
        "{}",
        '{"method": null}',
        '{"method": "lookup"}',
        '{"method": "lookup", "parameters": []}',
        '{"method": "lookup", "parameters": {"qname": 3, "qtype": "A", "real-remote": "1.1.1.1"}}',
        '{"method": "lookup", "parameters": {"qname": "vox-1-5.tts.example.com.", "qtype": "A", "real-remote": 7}}',
        '{"method": "list", "parameters": {"zonename": "tts.example.com.", "domain_id": 1}}',
        '{"method": "getDomainInfo", "parameters": {}}',
        '{"method": "addDomainKey", "parameters": {}}',
        '{"method": ["lookup"]}',
        "[" * 100_000,
    ],
)
def test_a_malformed_unknown_or_refused_request_gets_false(line: str) -> None:
    assert call(line) is False


def test_a_request_without_a_client_gets_an_untailored_answer() -> None:
    line = b'{"method": "lookup", "parameters": {"qname": "vox-1-5.tts.example.com.", "qtype": "A"}}'
    assert contents(json.loads(answering().respond(line))["result"]) == [("A", "192.0.2.2", 0)]


def test_a_mistake_of_the_program_is_no_empty_answer() -> None:
    """PowerDNS reads `false` as "no such name", which resolvers keep."""
    served = answering()
    broken = ModelPlan((ASIA, EUROPE), rtts=lambda _facts, _regions: [])
    served.replace(replace(served.data, plans={"voices/narrator": broken}))
    with pytest.raises(ValueError, match="zip"):
        ask("vox-1-5.tts.example.com.", "A", "20.1.2.0/24", served)


@given(st.binary())
def test_no_bytes_raise(line: bytes) -> None:
    assert json.loads(answering().respond(line))["result"] is not None


def test_answers_are_counted_by_region_and_group() -> None:
    seen: list[Answered] = []
    served = answering(seen.append)
    for client in ("20.1.2.0/24", "20.1.2.0/24", "30.1.2.0/24", "0.0.0.0/0"):
        ask("vox-1-5.tts.example.com.", "A", client, served)
    ask(APEX, served=served)
    assert [(each.region, each.basis, str(each.group)) for each in seen] == [
        ("asia", "solved", "CN"),
        ("asia", "solved", "CN"),
        ("europe", "solved", "DE"),
        ("europe", "untailored", "??"),
    ]


def test_new_data_is_used_at_once() -> None:
    served = answering()
    assert contents(ask("vox-1-5.tts.example.com.", "A", served=served)) == [("A", "192.0.2.1", 8)]
    data = answering().data
    plan = {"voices/narrator": ModelPlan((EUROPE,), {}, "europe")}
    served.replace(ZoneData(data.zone, data.static, data.servers, data.endpoints, plan, data.find_leaf))
    assert contents(ask("vox-1-5.tts.example.com.", "A", served=served))[0][:2] == ("A", "192.0.2.2")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CACHED <= 100_000
    monkeypatch.setattr("voxfleet_gateway.decisions.dns.answering.MAX_CACHED", 8)
    served = answering()
    for part in range(40):
        ask("vox-1-5.tts.example.com.", "A", f"20.{part}.0.0/24", served)
        assert len(served.answers) <= 8
        assert len(served.lines) <= 8
