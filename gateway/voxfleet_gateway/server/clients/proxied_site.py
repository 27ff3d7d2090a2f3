"""Accepts connections, some of which a TCP load balancer begins with a PROXY header, and bounds their handshakes.

Knows: the balancers' networks. A connection from one must begin with a header, one from elsewhere is served as it is;
a header that is malformed or does not come in time closes its connection, and so does a TLS handshake. Of too many that
are unfinished the oldest ends: a client completes one in two round trips. The bytes after it are not read here.
Does not know: the header's form (decisions/location/proxy_header.py); requests.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from voxfleet_gateway.decisions.location.client_address import Address, Networks, is_among, unmapped
from voxfleet_gateway.decisions.location.proxy_header import read_header
from voxfleet_gateway.errors import ProxyHeaderError
from voxfleet_gateway.telemetry import PROXY_HEADER_FAILURES

HEADER_SECONDS = 5.0  # a balancer sends the header with its first segment
HANDSHAKE_SECONDS = 10.0  # asyncio's own limit is 60 s
MAX_OPENING = 256  # unfinished headers and handshakes of one port: descriptors and memory that ask for no certificate
ACCEPT_RETRY_SECONDS = 0.1  # after an accept that failed, as without free descriptors

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ProxiedConnections:
    """The clients' addresses of open connections that began with a header; None where it named no client."""

    balancers: Networks
    sources: dict[RequestHandler, Address | None] = field(default_factory=dict)

    def source(self, request: web.Request) -> tuple[bool, Address | None]:
        """Return whether the request's connection began with a header, and the address in it."""
        connection = request.protocol
        return connection in self.sources, self.sources.get(connection)

    def is_balancer(self, peer: str) -> bool:
        """Return whether a connection from this address must begin with a header."""
        return is_among(unmapped(ip_address(peer.partition("%")[0])), self.balancers)

    def forget_with(self, server: web.Server) -> None:
        """Forget each connection when the server does."""
        lost = server.connection_lost

        def forget(handler: RequestHandler, error: BaseException | None = None) -> None:
            self.sources.pop(handler, None)
            lost(handler, error)

        server.connection_lost = forget  # type: ignore[method-assign,assignment]


class ProxiedSite(web.BaseSite):
    """A listening socket whose connections are taken one by one, instead of by the event loop's own server."""

    __slots__ = ("_accepting", "_connections", "_on_drop", "_opening", "_socket")

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        connections: ProxiedConnections,
        ssl_context: ssl.SSLContext | None,
        on_drop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context)
        self._socket, self._connections = listening, connections
        self._opening: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._on_drop = on_drop  # called for each one that ends because there are too many
        self._accepting: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The address that is listened on."""
        host, port, *_ = self._socket.getsockname()
        return f"{'https' if self._ssl_context else 'http'}://[{host}]:{port}"

    async def start(self) -> None:
        """Begin to accept connections."""
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is set up before its sites start")
        self._connections.forget_with(server)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(server), name="accept")

    async def stop(self) -> None:
        """Accept no more; open connections are the runner's."""
        tasks = [*self._opening, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._socket.close()
        await super().stop()

    async def _accept(self, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("accept_failed", reason=error.strerror)
                await asyncio.sleep(ACCEPT_RETRY_SECONDS)
                continue
            task = asyncio.create_task(self._open(server, connection, peer[0]))
            self._opening[task] = None
            task.add_done_callback(lambda done: self._opening.pop(done, None))
            if len(self._opening) > MAX_OPENING:
                oldest = next(iter(self._opening))
                del self._opening[oldest]  # or the next connection would cancel it again
                oldest.cancel()
                self._on_drop()

    async def _open(self, server: web.Server, connection: socket.socket, peer: str) -> None:
        try:
            await self._hand_on(server, connection, peer)
        except ProxyHeaderError as error:
            PROXY_HEADER_FAILURES.inc()
            log.info("proxy_header_invalid", reason=str(error))
            connection.close()
        except BaseException:  # a failed handshake, a reset, the end of the process
            connection.close()
            raise

    async def _hand_on(self, server: web.Server, connection: socket.socket, peer: str) -> None:
        is_proxied = self._connections.is_balancer(peer)
        source = await _read_source(connection) if is_proxied else None

        handler = server()
        if is_proxied:
            self._connections.sources[handler] = source  # before the first request can be read
        timeout_seconds = HANDSHAKE_SECONDS if self._ssl_context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: handler, connection, ssl=self._ssl_context, ssl_handshake_timeout=timeout_seconds
            )
        except BaseException as error:
            self._connections.sources.pop(handler, None)  # the server never knew the connection
            if not isinstance(error, OSError):  # a failed handshake is the client's, and an OSError
                raise


async def _read_source(connection: socket.socket) -> Address | None:
    """Read the header and no byte more. Raises ProxyHeaderError, also when it does not come in time."""
    reader = read_header()
    wanted = next(reader)
    try:
        async with asyncio.timeout(HEADER_SECONDS):
            while True:
                wanted = reader.send(await _read_exactly(connection, wanted))
    except StopIteration as read:
        return read.value  # type: ignore[no-any-return]
    except TimeoutError as error:
        raise ProxyHeaderError(f"the header was not complete within {HEADER_SECONDS:g} s") from error
    except OSError as error:
        raise ProxyHeaderError("the connection was reset within the header") from error


async def _read_exactly(connection: socket.socket, size: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size:
        try:
            # Most often the bytes are there; version 1 is read one by one.
            chunk = connection.recv(size - len(data))
        except BlockingIOError:
            chunk = await loop.sock_recv(connection, size - len(data))
        if not chunk:
            raise ProxyHeaderError("the connection was closed within the header")
        data += chunk
    return data
