"""The network of a client, as far as round trips depend on it. Pure.

Knows: which addresses are taken to be one place (/24 of IPv4, /48 of IPv6: what is routed as one on the Internet).
Does not know: databases; how round trips are learned (rtt_model.py).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.regions import Location

IPV4_BITS, IPV6_BITS = 24, 48


@dataclass(frozen=True, slots=True)
class ClientNetwork:
    """What groups clients: from the smallest group to the largest; what is unknown is empty or None."""

    prefix: str = ""  # never in a log: few clients share one
    asn: int | None = None
    country: str = ""
    location: Location | None = None


def client_network(address: IPv4Address | IPv6Address, facts: AddressFacts | None) -> ClientNetwork:
    """Return the network of an address with what a database says about it."""
    prefix = prefix_of(address)
    if facts is None:
        return ClientNetwork(prefix)
    location = None
    if facts.latitude is not None and facts.longitude is not None:
        location = Location(round(facts.latitude, 2), round(facts.longitude, 2))  # 1 km, as exact as databases are
    return ClientNetwork(prefix, facts.asn, facts.country, location)


def prefix_of(address: IPv4Address | IPv6Address) -> str:
    """Return the prefix that stands for the address."""
    bits = IPV4_BITS if address.version == 4 else IPV6_BITS  # noqa: PLR2004
    return str(ip_network((address, bits), strict=False))
