"""The DNS zone as it was observed: its file, its name servers, the parent's delegation, its names. Pure.

Knows: which values checks compare. Does not know: queries (zone_queries.py), what is right or wrong (checks/zones.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ZoneServer:
    """What one address of a name server answered about the zone."""

    name: str
    address: str
    error: str = ""  # why there is no answer
    is_authoritative: bool = False
    serial: int = 0
    ttl_seconds: int = 0  # of its SOA record
    name_servers: frozenset[str] = frozenset()  # its NS records


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the parent zone has about the zone."""

    parent: str = ""
    error: str = ""  # why it is not known
    name_servers: frozenset[str] = frozenset()
    glue: Mapping[str, frozenset[str]] = field(default_factory=dict)  # addresses, by name server in the zone


@dataclass(frozen=True, slots=True)
class ZoneName:
    """What a resource's name resolves to from here."""

    name: str
    error: str = ""
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone file, and what was found of it. Names are lower-case, without the dot at their end."""

    name: str
    serial: int
    ttl_seconds: int
    name_servers: Mapping[str, frozenset[str]]  # name -> addresses, of the file; empty for one outside the zone
    gateway_addresses: frozenset[str]  # of the file's regions, and of the hosts of gatewayURLs
    servers: tuple[ZoneServer, ...] = ()
    delegation: Delegation = field(default_factory=Delegation)
    names: tuple[ZoneName, ...] = ()
