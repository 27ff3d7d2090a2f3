"""Which address a request comes from, through proxies that are trusted to say so. Pure.

Knows: X-Forwarded-For and Forwarded (RFC 7239), read from the right: each trusted proxy has appended the address
that it was reached from, and whatever stands left of the first untrusted one is that client's own invention.
Does not know: sockets, HTTP libraries; where an address is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

Address = IPv4Address | IPv6Address
AddressHeader = Literal["X-Forwarded-For", "Forwarded"]
Networks = Sequence[IPv4Network | IPv6Network]

# Used by many networks at once; what a database says of them is wrong (a published one has 192.168/16 in Australia).
REUSED = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)

MAX_HOPS = 16  # trusted proxies in a row; more is a loop or an attempt to cost time
# One parameter of a forwarded-element: a token or a quoted string, in which a comma separates nothing.
PARAMETER = re.compile(r'\s*([^\s=;,"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*')


def unmapped(address: Address) -> Address:
    """Return the IPv4 address of an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), else the address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_address(text: str) -> Address | None:
    """Read an address as proxies write it: bare, with a port, in brackets, quoted; None for anything else.

    "unknown", obfuscated names and zones of link-local addresses name no place.
    """
    given = text.strip().strip('"')
    if given.startswith("["):
        given, closed, port = given[1:].partition("]")
        if not closed or (port and not _is_port(port)):
            return None
    elif given.count(":") == 1:
        given, _, port = given.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = ip_address(given)
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else unmapped(address)


def is_among(address: Address, networks: Networks) -> bool:
    """Return whether the address lies in one of the networks."""
    return any(address in network for network in networks)


def client_address(
    peer: Address | None, values: Sequence[str], header: AddressHeader, trusted: Networks
) -> Address | None:
    """Return the client's address by the values of the header, in their order; None is unknown.

    Each address is believed as long as the one that reported it is trusted. A trusted proxy that reports no address
    (no header, `unknown`, an obfuscated name) makes the client unknown, as does a chain longer than any real one.
    """
    if peer is None or not is_among(peer, trusted):
        return peer
    reported = FROM_THE_RIGHT[header](values)
    address: Address | None = None  # a proxy that reports no address is not the client
    for _ in range(MAX_HOPS):
        if (text := next(reported, None)) is None:
            return address  # every hop is trusted: the farthest one is the client
        if (address := parse_address(text)) is None or not is_among(address, trusted):
            return address
    return None


def _forwarded_for(values: Sequence[str]) -> Iterator[str]:
    """Yield the elements of X-Forwarded-For; empty ones count for nothing (RFC 9110, 5.6.1.2)."""
    return (part for value in reversed(values) for part in reversed(value.split(",")) if part.strip())


def _forwarded(values: Sequence[str]) -> Iterator[str]:
    """Yield the `for` of the elements of Forwarded; "unknown" for one without, or that is malformed."""
    for value in reversed(values):
        yield from reversed([_for_of(element) for element in _elements(value)])


def _elements(value: str) -> Iterable[str]:
    """Split at commas outside of quoted strings; a string that is never closed hides what follows it."""
    elements, quoted, escaped = [""], False, False
    for character in value:
        if character == "," and not quoted:
            elements.append("")
            continue
        elements[-1] += character
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
    return [element for element in elements if element.strip()]


def _for_of(element: str) -> str:
    parameters = [PARAMETER.fullmatch(part) for part in element.split(";")]
    found = [each[2] for each in parameters if each is not None and each[1].lower() == "for"]
    return found[0] if len(found) == 1 and None not in parameters else "unknown"


def _is_port(text: str) -> bool:
    # Also obfuscated ports of RFC 7239: "_" and letters.
    return re.fullmatch(r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)", text) is not None


FROM_THE_RIGHT: dict[AddressHeader, Callable[[Sequence[str]], Iterator[str]]] = {
    "X-Forwarded-For": _forwarded_for,
    "Forwarded": _forwarded,
}
