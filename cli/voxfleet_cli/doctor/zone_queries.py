"""Observes a DNS zone by queries from this machine: its name servers, its parent, its names.

Knows: the zone file's fields, dnspython, which queries show what. Needs dnspython, so it is imported where there is a
zone. Does not know: where the file is (observation.py), what is right or wrong (checks/zones.py).
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.exception import DNSException

from voxfleet_cli.cluster import Body
from voxfleet_cli.doctor.zone_facts import Delegation, Zone, ZoneName, ZoneServer

DNS_PORT = 53
QUERY_SECONDS = 3.0
MOST_NAMES = 10  # of resources: one that fails is rarely the only one
PARENT_SERVERS = 2  # of which one is asked after another
DEFAULT_TTL_SECONDS, DEFAULT_SERIAL = 30, 1  # of the zone file


@dataclass(frozen=True, slots=True)
class DnsClient:
    """Sends queries; a failure is a text of what it returns."""

    resolver: dns.resolver.Resolver
    port: int = DNS_PORT  # of name servers that are asked directly

    def resolved(self, name: str) -> ZoneName:
        """Return what a name resolves to."""
        try:
            answers = [self.resolver.resolve(f"{name}.", kind, raise_on_no_answer=False) for kind in ("A", "AAAA")]
        except (DNSException, OSError) as error:
            return ZoneName(name, error=_text(error))
        return ZoneName(name, addresses=frozenset(record.address for each in answers for record in each.rrset or ()))

    def server(self, zone: str, name: str, address: str) -> ZoneServer:
        """Return what a server has of a zone."""
        try:
            answer, listed = self._asked(address, zone, "SOA"), self._asked(address, zone, "NS")
        except (DNSException, OSError) as error:
            return ZoneServer(name, address, _text(error))
        start = next(iter(_records(answer.answer, zone, "SOA")), None)
        if answer.rcode() != dns.rcode.NOERROR or start is None:
            return ZoneServer(name, address, f"it answers {dns.rcode.to_text(answer.rcode())} without an SOA record")
        return ZoneServer(
            name,
            address,
            is_authoritative=bool(answer.flags & dns.flags.AA),
            serial=start.serial,
            ttl_seconds=answer.answer[0].ttl,
            name_servers=_targets(_records(listed.answer, zone, "NS")),
        )

    def delegation(self, zone: str) -> Delegation:
        """Return what the zone's parent has of it, by one of the parent's own name servers."""
        try:
            above = dns.name.from_text(zone).parent()
            parent = dns.resolver.zone_for_name(above, resolver=self.resolver, lifetime=QUERY_SECONDS)
            names = [_bare(each.target) for each in self.resolver.resolve(parent, "NS")]
        except (DNSException, OSError) as error:
            return Delegation(error=_text(error))
        failure = "none of its name servers has an address"
        addresses = chain.from_iterable(sorted(self.resolved(name).addresses) for name in names)
        for address in islice(addresses, PARENT_SERVERS):
            try:
                return _delegation(_bare(parent) or "the root", zone, self._asked(address, zone, "NS"))
            except (DNSException, OSError) as error:
                failure = f"{address}: {_text(error)}"
        return Delegation(_bare(parent), failure)

    def _asked(self, address: str, name: str, kind: str) -> dns.message.Message:
        """Return an answer of one server, without recursion."""
        query = dns.message.make_query(f"{name}.", kind, flags=0)
        return dns.query.udp_with_fallback(query, address, timeout=QUERY_SECONDS, port=self.port)[0]


def this_machines_client() -> DnsClient:
    """Return a client that resolves names as this machine does."""
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.resolver.Resolver(configure=False)
    resolver.lifetime = QUERY_SECONDS
    return DnsClient(resolver)


def zone_of(file: Mapping[str, Any], resources: list[Body], client: DnsClient) -> Zone:
    """Return the zone of a file, with the answers to all queries about it. Raises KeyError, TypeError, ValueError."""
    name = _bare(file["zone"])
    listed = {_bare(each["name"]): frozenset(each.get("addresses") or ()) for each in file["nameServers"]}
    addresses = {server: given or client.resolved(server).addresses for server, given in listed.items()}
    regions = [*(file.get("regions") or []), *(region for each in resources for region in each["spec"]["regions"])]
    own_names = [f"{each['metadata']['name']}.{each['metadata']['namespace']}.{name}" for each in resources]
    return Zone(
        name=name,
        serial=int(file.get("serial", DEFAULT_SERIAL)),
        ttl_seconds=int(file.get("ttl", DEFAULT_TTL_SECONDS)),
        name_servers=listed,
        gateway_addresses=frozenset(chain.from_iterable(_region_addresses(each) for each in regions)),
        servers=tuple(client.server(name, server, each) for server in listed for each in sorted(addresses[server])),
        delegation=client.delegation(name),
        names=tuple(client.resolved(each) for each in own_names[:MOST_NAMES]),
    )


def _region_addresses(region: Body) -> set[str]:
    """Return the addresses that a region's names may resolve to: of the file, or of its gatewayURL's host."""
    if given := region.get("addresses"):
        return set(given)
    host = urlsplit(region.get("gatewayURL") or "").hostname
    try:
        return {str(each[4][0]) for each in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        return set()


def _delegation(parent: str, zone: str, answer: dns.message.Message) -> Delegation:
    names = _targets(_records([*answer.answer, *answer.authority], zone, "NS"))
    glue = {
        name: frozenset(record.address for kind in ("A", "AAAA") for record in _records(answer.additional, name, kind))
        for name in names
        if name.endswith(f".{zone}")
    }
    return Delegation(parent, "", names, glue)


def _records(section: Iterable[Any], name: str, kind: str) -> list[Any]:
    wanted = (name, dns.rdatatype.from_text(kind))
    return [record for each in section if (_bare(each.name), each.rdtype) == wanted for record in each]


def _targets(records: Iterable[Any]) -> frozenset[str]:
    return frozenset(_bare(each.target) for each in records)


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _bare(name: object) -> str:
    """Return a name in lower case, without the dot at its end."""
    return str(name).lower().rstrip(".")
