"""Connections to gateways of other regions: mutual TLS, kept open, to addresses that may be a peer's.

Knows: that the region is the name which the peer's certificate must have; that addresses are checked when they are
connected to, so that a name which resolves anew brings no other. Does not know: which peers there are.
"""

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from voxfleet_gateway.decisions.peers.gateway_urls import Networks, refused_address
from voxfleet_gateway.peers.tls import PeerTls

REFUSED_ADDRESS = errno.EADDRNOTAVAIL  # also the kernel's, for an address that no packet can be sent to
KEEP_ALIVE_SECONDS = 60.0  # below the 75 s after which the peer closes
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]  # as socket.getaddrinfo has it


@dataclass(frozen=True, slots=True)
class RegionSession:
    """A client session whose requests reach the gateway of one region or fail."""

    session: aiohttp.ClientSession
    tls: PeerTls
    region: str

    def get(self, url: str, **options: Any) -> Any:
        """Request as aiohttp's session does."""
        return self.session.get(url, **options, **self._options())

    def post(self, url: str, **options: Any) -> Any:
        """Request as aiohttp's session does."""
        return self.session.post(url, **options, **self._options())

    def delete(self, url: str, **options: Any) -> Any:
        """Request as aiohttp's session does."""
        return self.session.delete(url, **options, **self._options())

    def ws_connect(self, url: str, **options: Any) -> Any:
        """Connect as aiohttp's session does."""
        return self.session.ws_connect(url, **options, **self._options())

    def _options(self) -> dict[str, Any]:
        # A new context, after the files changed, is part of a connection's key: old connections are not used again.
        return {"ssl": self.tls.client, "server_hostname": self.region}


@dataclass(frozen=True, slots=True)
class PeerClient:
    """The connections to all peers."""

    session: aiohttp.ClientSession
    tls: PeerTls

    def of(self, region: str) -> RegionSession:
        """Return the session for one region."""
        return RegionSession(self.session, self.tls, region)


@asynccontextmanager
async def open_peer_client(
    tls: PeerTls, networks: Networks, trace_configs: list[aiohttp.TraceConfig] | None = None
) -> AsyncIterator[PeerClient]:
    """Yield a client that also connects to the addresses in `networks`, whatever they are."""
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, socket_factory=checked_sockets(networks)
    )
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=trace_configs,
    ) as session:
        yield PeerClient(session, tls)


def checked_sockets(networks: Networks) -> Callable[[AddressInfo], socket.socket]:
    """Return the factory of sockets for addresses that may be a peer's."""

    def new_socket(info: AddressInfo) -> socket.socket:
        """Return a socket. Raises OSError, so that the next address of the name is tried."""
        family, kind, protocol, _, address = info
        if (reason := refused_address(str(address[0]), networks)) is not None:
            raise OSError(REFUSED_ADDRESS, f"{address[0]} is no peer's address: {reason}")
        return socket.socket(family, kind, protocol)

    return new_socket
