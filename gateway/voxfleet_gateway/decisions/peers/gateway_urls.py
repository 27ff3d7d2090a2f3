"""Which gatewayURLs are connected to, and at which addresses. Pure.

A resource's author writes the URL and is no administrator: without these rules it could name any service that the
gateway's network reaches, as a cloud's metadata.
Knows: https, the allowed domains, addresses that no peer has, and those that hide in others.
Does not know: how names are resolved; certificates, which decide whether a region's gateway is there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from voxfleet_gateway.errors import PeerUrlError

HTTPS_PORT = 443
MAX_HOST_CHARACTERS = 253
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 addresses for IPv6-only clients, in the last 32 bits
# Metadata services outside 169.254.0.0/16: Amazon's by IPv6, Alibaba's, Oracle's.
METADATA = tuple(map(ip_network, ("fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32")))

Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class PeerUrl:
    """The origin of a region's gateway, with its host in lower case."""

    host: str
    port: int

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}{path}"


def parse_peer_url(text: str, domains: Collection[str], networks: Networks) -> PeerUrl:
    """Return the origin that a gatewayURL names. Raises PeerUrlError, which says what would be right.

    Its host lies in one of the domains; an address, in one of the networks.
    """
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError as error:
        raise PeerUrlError(f"gatewayURL {text!r:.300} is no URL: {error!s:.200}") from error
    if parts.scheme != "https" or not host or parts.username is not None or parts.password is not None:
        raise PeerUrlError(f"gatewayURL {text!r:.300} must be https://HOST or https://HOST:PORT")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or port == 0:
        raise PeerUrlError(f"gatewayURL {text!r:.300} must name no path, query, fragment, and no port 0")
    if not _is_allowed(host, domains, networks):
        raise PeerUrlError(
            f"gatewayURL {text!r:.300}: {host!r:.260} lies in none of the allowed domains: "
            f"{', '.join(sorted(domains)) or 'there are none'} (--allowed-peer-domains, in the chart "
            "allowedPeerDomains)"
        )
    return PeerUrl(host, port or HTTPS_PORT)


def _is_allowed(host: str, domains: Collection[str], networks: Networks) -> bool:
    if (address := _address(host)) is not None:
        return any(address in network for network in networks)
    if not host.isascii() or len(host) > MAX_HOST_CHARACTERS:
        return False
    return any(host == domain or host.endswith("." + domain) for domain in domains)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def refused_address(text: str, networks: Networks) -> str | None:
    """Return why no connection is made to an address that a name resolved to; None for one that may be a peer's.

    Addresses in `networks` always may: tests name loopback there. Private ones may too, since clusters are joined by
    private networks.
    """
    address = _address(text.partition("%")[0])
    if address is None:
        return "it is no address"
    if any(address in network for network in networks):
        return None
    inner = _embedded(address)
    if inner is not None:
        return refused_address(str(inner), networks)
    kinds = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "unspecified": address.is_unspecified,
        "multicast": address.is_multicast,
        "a cloud's metadata service": any(address in network for network in METADATA),
        "reserved": address.is_reserved,
    }
    return next((f"it is {kind}" for kind, holds in kinds.items() if holds), None)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one is delivered to, if it is one of those."""
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo  # server and client
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
