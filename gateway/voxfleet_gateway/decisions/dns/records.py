"""Records in the form that PowerDNS's remote backend reads. Pure.

Knows: which records each kind of name has, and their content. Does not know: which region an answer names, sockets.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

Address = IPv4Address | IPv6Address
Record = dict[str, Any]

DOMAIN_ID = 1  # one zone
EMPTY_TYPE = "ENT"  # PowerDNS's type of a name that has nothing but names below it
HTTPS_PORT = 443
REFRESH, RETRY, EXPIRE = 3600, 600, 604800  # of secondaries, which there are none of


@dataclass(frozen=True, slots=True)
class ZoneRecords:
    """What the static records of the zone are made of."""

    apex: str
    servers: tuple[str, ...]
    hostmaster: str
    ttl: int
    serial: int = 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a region's gateways are reached."""

    addresses: tuple[Address, ...]
    port: int = HTTPS_PORT
    alpn: tuple[str, ...] = field(default=())  # beside http/1.1, which HTTPS records imply


def apex_records(zone: ZoneRecords) -> list[Record]:
    """Return SOA and NS; the SOA's last number is how long a name stays unknown to resolvers (RFC 2308)."""
    soa = f"{zone.servers[0]} {zone.hostmaster} {zone.serial} {REFRESH} {RETRY} {EXPIRE} {zone.ttl}"
    servers = [_record(zone.apex, "NS", server, zone.ttl) for server in zone.servers]
    return [_record(zone.apex, "SOA", soa, zone.ttl), *servers]


def address_records(name: str, addresses: Iterable[Address], ttl: int, scope: int = 0) -> list[Record]:
    """Return A and AAAA records."""
    return [_record(name, "A" if each.version == 4 else "AAAA", str(each), ttl, scope) for each in addresses]  # noqa: PLR2004  # the IP version


def endpoint_records(name: str, endpoint: Endpoint, ttl: int, scope: int) -> list[Record]:
    """Return A, AAAA and HTTPS records of a region's gateways."""
    records = address_records(name, endpoint.addresses, ttl, scope)
    if records:
        records.append(_record(name, "HTTPS", _https(endpoint), ttl, scope))
    return records


def empty_records(name: str, ttl: int) -> list[Record]:
    """Return what says that a name exists and has no records."""
    return [_record(name, EMPTY_TYPE, "", ttl)]


def of_type(records: list[Record], wanted: str) -> list[Record]:
    """Return the records of a type; all of them for ANY, which PowerDNS asks for whatever its client asks."""
    return records if wanted == "ANY" else [record for record in records if record["qtype"] == wanted]


def response(result: object) -> bytes:
    """Return a response's line."""
    return json.dumps({"result": result}, separators=(",", ":")).encode() + b"\n"


def _record(name: str, kind: str, content: str, ttl: int, scope: int = 0) -> Record:
    return {
        "qname": name,
        "qtype": kind,
        "content": content,
        "ttl": ttl,
        "domain_id": DOMAIN_ID,
        "scopeMask": scope,
        "auth": 1,
    }


def _https(endpoint: Endpoint) -> str:
    """Return the content of the HTTPS record (RFC 9460), keys in their order: alpn, port, hints."""
    parts = ["1", "."]
    if endpoint.alpn:
        parts.append(f"alpn={','.join(endpoint.alpn)}")
    if endpoint.port != HTTPS_PORT:
        parts.append(f"port={endpoint.port}")
    for key, version in (("ipv4hint", 4), ("ipv6hint", 6)):
        if hints := [str(each) for each in endpoint.addresses if each.version == version]:
            parts.append(f"{key}={','.join(hints)}")
    return " ".join(parts)
