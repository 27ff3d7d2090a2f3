"""Judges the addresses to which the operator would connect on behalf of a resource's author.

An author is not an administrator: without this, a kubeconfig could make the operator call its own node, a cloud's
metadata service, or a machine of the installation's network. Does not resolve names.
"""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# The first kind that fits names the address; `is_private` covers what no other one does.
KINDS = ("is_unspecified", "is_loopback", "is_link_local", "is_multicast", "is_reserved")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list separated by commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def address_problem(text: str, allowed: tuple[Network, ...]) -> str:
    """Return why no API server may be at an address, or an empty string; `allowed` networks are always right."""
    try:
        # A link-local address may carry a zone (fe80::1%eth0), which no network has.
        address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return f"{text!r} is no address"
    if any(address.version == network.version and address in network for network in allowed):
        return ""
    kind = next((name for name in KINDS if getattr(address, name)), "")
    if not kind and address.is_global:
        return ""
    named = kind.removeprefix("is_").replace("_", "-") or "private"
    return f"{text} is a {named} address: an administrator can allow its network (chart value allowedPeerNetworks)"


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    translated = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
    return address.ipv4_mapped or address.sixtofour or translated or address
