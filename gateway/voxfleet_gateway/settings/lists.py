"""Settings that are comma-separated lists: networks, domains, addresses of peers.

Knows: their forms, and the types of such settings, which are kept as text. Does not know which setting has one; each
function raises ValueError, which names the wrong entry.
"""

import re
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator

MAX_PORT = 65535
# Labels of letters, digits and hyphens, the last one not a number: an address is no domain.
DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@cache
def parse_domains(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of domains. Raises ValueError, which names the wrong one."""
    domains = tuple(part.strip().lower().removesuffix(".") for part in text.split(",") if part.strip())
    for domain in domains:
        if not DOMAIN.fullmatch(domain):
            raise ValueError(f"{domain!r:.80} is no domain, as tts.example.com is one")
    return domains


@cache
def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a comma-separated list of CIDRs. Raises ValueError, which names the wrong one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_peers(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of host:port. Raises ValueError, which names the wrong one."""
    peers = tuple(part.strip() for part in text.split(",") if part.strip())
    for peer in peers:
        host, _, port = peer.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) <= MAX_PORT:
            raise ValueError(f"{peer!r} is not host:port")
    return peers


def _parsed_by(parse: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Domains = Annotated[str, _parsed_by(parse_domains)]
Networks = Annotated[str, _parsed_by(parse_networks)]
Peers = Annotated[str, _parsed_by(parse_peers)]
