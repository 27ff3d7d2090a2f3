"""Bounds on receiving a request, so that slow or endless requests do not use up connections and memory.

Knows: uvicorn's HTTP protocol, which has no timeout for a request's head and body and no limit on the head's size.
Does not know: what a complete request asks for; its time limit is `max_request_seconds`.
"""

from __future__ import annotations

import asyncio
import resource
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voxfleet_inference.admission.http10 import send_until_close

# Written to the socket, because uvicorn has no request yet to respond to (RFC 6585, 5; RFC 9110, 15.5.9).
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def allow_many_connections() -> None:
    """Raise this process's limit of open files to the hard limit; the usual soft limit of 1024 bounds open requests."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class BoundedConnection(HttpToolsProtocol):
    """An HTTP connection with limits: time and bytes for a request's head, time between two parts of its body."""

    max_head_bytes: ClassVar[int] = 64 * 2**10  # most servers allow 8 to 64 KiB
    head_seconds: ClassVar[float] = 30.0
    silent_seconds: ClassVar[float] = 30.0  # between two parts of a body

    _head_bytes = 0
    _is_in_head = True  # a request's head is due at once on a new connection
    _is_in_body = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request's head."""
        super().connection_made(transport)
        self._start_timeout(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; close the connection when a head is over its limit."""
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._drop(_TOO_LARGE)
        elif self._is_in_body:
            self._start_timeout(self.silent_seconds)

    def on_message_begin(self) -> None:
        """A request's first byte arrived: start the timeout of its head."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._start_timeout(self.head_seconds)

    def on_headers_complete(self) -> None:
        """The head is complete: start the timeout of the body's first part."""
        self._is_in_head, self._is_in_body = False, True
        self._start_timeout(self.silent_seconds)
        super().on_headers_complete()
        if self.scope["type"] == "http" and self.scope["http_version"] == "1.0":
            send_until_close(self.cycle, self.transport)

    def on_message_complete(self) -> None:
        """The request is complete: no timeout applies to its response."""
        self._is_in_body = False
        self._stop_timeout()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection becomes a WebSocket, which has its own timeouts."""
        self._stop_timeout()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: stop the timeout."""
        self._stop_timeout()
        super().connection_lost(exc)

    def _start_timeout(self, seconds: float) -> None:
        self._stop_timeout()
        self._timer = self.loop.call_later(seconds, self._drop, _TOO_SLOW)

    def _stop_timeout(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self, response: bytes) -> None:
        self._stop_timeout()
        if self._is_in_head and not self.transport.is_closing():  # later, a response may have begun
            self.transport.write(response)
        self.transport.close()
