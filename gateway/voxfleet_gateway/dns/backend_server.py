"""The unix socket that PowerDNS's remote backend connects to: lines in, lines out.

Knows: framing, bounds, permissions, that an old socket file may be left. Does not know: what lines mean (answering.py).
PowerDNS connects anew when the engine restarts; nothing of a connection is kept.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import structlog

from voxfleet_gateway.decisions.dns.answering import FAILED
from voxfleet_gateway.dns.telemetry import CONNECTIONS, FAILED_REQUESTS, INTERNAL_ERRORS

MAX_LINE_BYTES = 64 * 2**10  # a request of PowerDNS has about 300 bytes
MAX_CONNECTIONS = 512  # one per thread of PowerDNS

log = structlog.get_logger(__name__)

Respond = Callable[[bytes], bytes]


class BackendProtocol(asyncio.Protocol):
    """One connection of PowerDNS."""

    def __init__(self, respond: Respond, connections: set["BackendProtocol"]) -> None:
        self._respond, self._connections = respond, connections
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, or close it when there are too many."""
        stream = cast("asyncio.Transport", transport)
        if len(self._connections) >= MAX_CONNECTIONS:
            log.warning("backend_connection_refused", limit=MAX_CONNECTIONS)
            stream.abort()
            return
        self._transport = stream
        self._connections.add(self)
        CONNECTIONS.set(len(self._connections))

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection."""
        self._transport = None
        self._connections.discard(self)
        CONNECTIONS.set(len(self._connections))

    def data_received(self, data: bytes) -> None:
        """Answer every whole line, in order."""
        if self._transport is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            responses = [self._respond(line) for line in lines if line]
        except Exception:  # a mistake of this program: PowerDNS answers SERVFAIL, and connects anew
            log.exception("backend_request_failed")
            INTERNAL_ERRORS.inc()
            self._transport.abort()
            return
        if responses:
            if FAILED in responses:
                FAILED_REQUESTS.inc(responses.count(FAILED))
            self._transport.write(b"".join(responses))
        if len(self._rest) > MAX_LINE_BYTES:
            log.warning("backend_line_too_long", limit_bytes=MAX_LINE_BYTES)
            self.close()

    def pause_writing(self) -> None:
        """Read no further requests while responses are not read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read requests again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close the connection; what was answered is sent before."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def serve_backend(path: Path, mode: int, respond: Respond) -> AsyncIterator[None]:
    """Serve the socket while the context is open. Raises OSError when the path cannot be used."""
    connections: set[BackendProtocol] = set()
    _remove(path)  # of an engine that was killed
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: BackendProtocol(respond, connections), str(path))
    own = _open_to(path, mode)
    try:
        yield
    finally:
        server.close()
        for connection in tuple(connections):
            connection.close()
        _remove(path, own)


def _open_to(path: Path, mode: int) -> int:
    """Set the permissions and return the socket's inode."""
    path.chmod(mode)
    return path.stat().st_ino


def _remove(path: Path, own: int | None = None) -> None:
    """Remove a socket file; with `own` only if it is that one, and not of an engine that serves there by now."""
    with contextlib.suppress(FileNotFoundError):
        if own is None or path.stat().st_ino == own:
            path.unlink()
