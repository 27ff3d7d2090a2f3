"""The check of the DNS zone: a zone that is right, and each thing that commonly goes wrong with one."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_cli.doctor.checks import examine
from voxfleet_cli.doctor.facts import Facts, Finding, State
from voxfleet_cli.doctor.observed import Unread
from voxfleet_cli.doctor.zone_facts import Delegation, Zone, ZoneName, ZoneServer

NS1, NS2 = "ns1.tts.example.com", "ns2.elsewhere.net"
SERVERS = {NS1: frozenset({"203.0.113.53"}), NS2: frozenset[str]()}
GOOD = ZoneServer(NS1, "203.0.113.53", "", True, 7, 30, frozenset(SERVERS))
SECOND = replace(GOOD, name=NS2, address="198.51.100.53")
DELEGATION = Delegation("example.com", "", frozenset(SERVERS), {NS1: frozenset({"203.0.113.53"})})
NAME = ZoneName("narrator.apps.tts.example.com", "", frozenset({"203.0.113.10"}))
ZONE = Zone(
    "tts.example.com", 7, 30, SERVERS, frozenset({"203.0.113.10", "2001:db8::10"}), (GOOD, SECOND), DELEGATION, (NAME,)
)


def findings(zone: Zone | Unread) -> list[Finding]:
    return [each for each in examine(Facts("vox", "demand", 0.0, zone=zone)) if each.check == "DNS zone"]


def test_a_zone_that_is_right_is_one_line() -> None:
    (found,) = findings(ZONE)
    assert found.state is State.OK
    assert found.text == (
        "tts.example.com: 2 addresses of name servers agree, example.com delegates to them, 1 names lead to gateways"
    )


def test_without_a_zone_there_is_nothing_to_check() -> None:
    (found,) = findings(Unread("not found", is_absent=True))
    assert (found.state, "dns.enabled is false" in found.text) == (State.OK, True)


def test_a_zone_that_can_not_be_read_is_not_checked() -> None:
    (found,) = findings(Unread("queries need the Python package dns: pip install dnspython"))
    assert (found.state, "pip install dnspython" in found.text) == (State.NOT_CHECKED, True)


@pytest.mark.parametrize(
    ("changed", "state", "text", "command"),
    [
        ({"servers": (replace(GOOD, error="timed out"), SECOND)}, State.FAILURE, "does not serve", "dig @203.0.113.53"),
        ({"servers": (replace(GOOD, is_authoritative=False), SECOND)}, State.FAILURE, "without authority", "dig @203"),
        (
            {"servers": (replace(GOOD, serial=6), SECOND)},
            State.WARNING,
            "serial 6, the zone file has 7",
            "kubectl logs",
        ),
        ({"servers": (GOOD, replace(SECOND, ttl_seconds=60))}, State.WARNING, "TTL of 60 s, the zone", "kubectl logs"),
        (
            {"servers": (replace(GOOD, name_servers=frozenset({NS1})), SECOND)},
            State.WARNING,
            f"lists {NS1} as NS, the zone file {NS1}, {NS2}",
            "kubectl logs -n vox",
        ),
        ({"servers": (GOOD,)}, State.FAILURE, f"{NS2} has no address", f"dig {NS2}"),
        (
            {"delegation": Delegation("example.com")},
            State.FAILURE,
            f"add to example.com: tts.example.com. NS {NS1}., tts.example.com. NS {NS2}., {NS1}. A 203.0.113.53",
            "dig +trace tts.example.com NS",
        ),
        (
            {"delegation": replace(DELEGATION, name_servers=frozenset({NS1, NS2, "old.example.com"}))},
            State.WARNING,
            "to old.example.com too",
            "dig +trace",
        ),
        (
            {"delegation": replace(DELEGATION, name_servers=frozenset({NS1}))},
            State.WARNING,
            f"does not delegate tts.example.com to {NS2}",
            "dig +trace",
        ),
        (
            {"delegation": replace(DELEGATION, glue={NS1: frozenset({"192.0.2.1"})})},
            State.FAILURE,
            f"example.com has 192.0.2.1 as address of {NS1}, the zone file 203.0.113.53",
            "dig +trace",
        ),
        ({"delegation": Delegation(error="timed out")}, State.WARNING, "can't be seen from here: its parent", "dig"),
        (
            {"names": (ZoneName("a.b.tts", "NXDOMAIN"),)},
            State.FAILURE,
            "does not resolve from here: NXDOMAIN",
            "a.b.tts",
        ),
        ({"names": (ZoneName("a.b.tts"),)}, State.FAILURE, "it has no address", "dig +trace a.b.tts"),
        (
            {"names": (replace(NAME, addresses=frozenset({"192.0.2.9"})),)},
            State.FAILURE,
            "resolves to 192.0.2.9, which is no gateway's address (known: 2001:db8::10, 203.0.113.10)",
            "dig +trace narrator.apps",
        ),
        (
            {"ttl_seconds": 3600, "servers": (replace(GOOD, ttl_seconds=3600), replace(SECOND, ttl_seconds=3600))},
            State.WARNING,
            "a TTL of 3600 s keeps clients of a lost region",
            "--set dns.ttl=30",
        ),
    ],
)
def test_what_is_wrong_is_the_only_finding(changed: dict[str, Any], state: State, text: str, command: str) -> None:
    (found,) = findings(replace(ZONE, **changed))
    assert (found.state, text in found.text, command in found.command) == (state, True, True), found
