"""Resolves the hosts of gatewayURLs, for regions whose addresses the zone file does not have.

Knows: which addresses may be published; that a name which does not resolve now keeps the addresses it had.
Does not know: which regions need it. Resolving runs in threads, and answers never wait for it.
"""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import structlog

from voxfleet_gateway.decisions.dns.records import HTTPS_PORT, Endpoint
from voxfleet_gateway.decisions.peers.gateway_urls import refused_address
from voxfleet_gateway.dns.inputs.zone_file import MAX_ADDRESSES

RESOLVE_LIMIT_SECONDS = 10.0
MAX_AT_ONCE = 8

Address = IPv4Address | IPv6Address

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class GatewayAddresses:
    """The endpoints of gatewayURLs, as they last resolved."""

    allow_private: bool
    alpn: tuple[str, ...] = ()
    endpoints: dict[str, Endpoint] = field(default_factory=dict)  # by URL

    async def resolve(self, urls: Iterable[str]) -> None:
        """Resolve every URL's host, and forget other URLs."""
        wanted = sorted({url for url in urls if url})
        self.endpoints = {url: found for url, found in self.endpoints.items() if url in wanted}
        limit = asyncio.Semaphore(MAX_AT_ONCE)
        await asyncio.gather(*(self._resolve(url, limit) for url in wanted))

    async def _resolve(self, url: str, limit: asyncio.Semaphore) -> None:
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname or "", parts.port  # a port that cannot be raises ValueError
            async with limit, asyncio.timeout(RESOLVE_LIMIT_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)
        except (OSError, ValueError, TimeoutError) as error:
            log.warning("gateway_not_resolved", url=url, error=str(error)[:200])
            return
        addresses = {ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}
        usable = [each for each in sorted(addresses, key=str) if is_publishable(each, allow_private=self.allow_private)]
        if not usable:
            log.warning("gateway_not_publishable", url=url, addresses=[str(each) for each in addresses])
            return
        # Not the URL's port, which is the one for gateways of other regions: it asks for a peer's certificate.
        self.endpoints[url] = Endpoint(tuple(usable[:MAX_ADDRESSES]), HTTPS_PORT, self.alpn)


def is_publishable(address: Address, *, allow_private: bool) -> bool:
    """Whether an address of a gatewayURL's host may be in an answer."""
    return refused_address(str(address), ()) is None and (allow_private or address.is_global)
