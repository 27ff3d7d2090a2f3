"""The gateways with the same voices, as they are asked.

Knows: how their addresses are found; that those of this cluster take a token, and those of other regions know this one
by its certificate; the bounds of a response. Does not know: what is asked, which version of a voice holds.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from voxfleet_gateway.decisions.peers.remote_state import STALE_INTERVALS
from voxfleet_gateway.peers.client import RegionSession
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.tokens import BEARER, gateway_token

OK = 200


@dataclass(frozen=True, slots=True)
class Source:
    """One gateway, or those behind one region's address."""

    name: str  # of an address or a region, in logs and as the key of what was read from it
    origin: str
    session: aiohttp.ClientSession | RegionSession
    headers: Mapping[str, str] = field(default_factory=dict)
    is_elsewhere: bool = False  # in another region

    async def get(self, path: str, seconds: float, limit_bytes: int, **headers: str) -> bytes | None:
        """Return the body of a response of 200; None for any other, one that breaks off, or one beyond the limit."""
        async with self._response("get", path, seconds, headers) as response:
            return await _bounded(response, limit_bytes) if response is not None and response.status == OK else None

    async def notify(self, path: str, seconds: float) -> None:
        """Send an empty request; whatever comes of it, the gateway looks for changes on its own interval."""
        async with self._response("post", path, seconds, {}):
            return

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, seconds: float, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        url, given, timeout = f"{self.origin}{path}", {**self.headers, **headers}, aiohttp.ClientTimeout(total=seconds)
        send = self.session.post if method == "post" else self.session.get
        try:
            response = await send(url, headers=given, timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            yield None
            return
        async with response:
            yield response


@dataclass(frozen=True, slots=True)
class Sources:
    """Finds the gateways to ask; this one may be among them."""

    session: aiohttp.ClientSession
    names: tuple[str, ...]  # host:port of this cluster's; each may stand for several addresses
    internal_key: str
    regions: Callable[[], list[Source]] = list  # other regions' that respond at present

    async def find(self) -> list[Source]:
        """Return all of them, as they are now; this cluster's first, from which a copy costs least."""
        return [*await self._of_cluster(), *self.regions()]

    async def _of_cluster(self) -> list[Source]:
        loop = asyncio.get_running_loop()
        found: dict[str, None] = {}
        for name in self.names:
            host, _, port = name.rpartition(":")
            try:
                rows = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            except OSError:
                continue  # no replica is ready
            ips = (row[4][0] for row in rows)
            found |= {f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}": None for ip in ips}
        headers = {"Authorization": BEARER + gateway_token(self.internal_key)}
        return [Source(address, f"http://{address}", self.session, headers) for address in found]


def sources_elsewhere(peering: Peering) -> list[Source]:
    """Return the gateways of other regions, without those that do not report at present: to ask them takes seconds."""
    regions, client = peering.regions, peering.spills.client
    oldest_seconds = regions.fleet.clock() - STALE_INTERVALS * regions.interval_seconds
    return [
        Source(f"{peer.region} {peer.url.url('')}", peer.url.url(""), client.of(peer.region), is_elsewhere=True)
        for peer, received in regions.reports.items()
        if received.asked_seconds >= oldest_seconds
    ]


async def _bounded(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
    """Return the body; None when it breaks off or is larger than the limit."""
    body = bytearray()
    try:
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > limit_bytes:
                response.close()
                return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return bytes(body)
