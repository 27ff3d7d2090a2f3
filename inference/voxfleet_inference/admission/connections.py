"""Connections that bring no request: dropped before they have taken what others need.

Knows: uvicorn's HTTP protocol, which waits for a request's head for ever and keeps however much of it comes.
Does not know: requests, once their head is there; how long their audio may take is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import resource
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def allow_many_connections() -> None:
    """As many as this process may have; the usual 1024 files are fewer than a server's listeners."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class BoundedConnection(HttpToolsProtocol):
    """A connection whose requests must come in time: the head within seconds, the body without long silences."""

    max_head_bytes: ClassVar[int] = 64 * 2**10
    head_seconds: ClassVar[float] = 30.0
    silent_seconds: ClassVar[float] = 30.0  # in the middle of a body

    _head_bytes = 0
    _is_in_head = True  # a new connection owes one
    _is_in_body = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that has grown too large ends the connection."""
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._drop(_TOO_LARGE)
        elif self._is_in_body:
            self._wait(self.silent_seconds)

    def on_message_begin(self) -> None:
        """A request's first byte came."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._wait(self.head_seconds)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._is_in_head, self._is_in_body = False, True
        self._wait(self.silent_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request is there; its answer may take its time."""
        self._is_in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Another protocol takes over."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._drop, _TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self, answer: bytes) -> None:
        self._stop_waiting()
        if self._is_in_head and not self.transport.is_closing():
            self.transport.write(answer)
        self.transport.close()
