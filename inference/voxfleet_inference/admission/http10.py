"""Responses to HTTP/1.0 clients: no chunks (RFC 9112, 6.1), the body ends with the connection.

nginx sends HTTP/1.0 to the servers behind it unless `proxy_http_version` says otherwise. A body without length and
chunks looks complete wherever its connection ends, so a failed one is reset instead of closed.

Knows: uvicorn's response cycle, which frames a body without a length as chunks for every client.
Does not know: what is sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds
_CLOSE: Final = struct.pack("ii", 0, 0)


class _AnyLength(int):
    """The Content-Length that uvicorn compares with: no body is longer, and what is left of it is always nothing."""

    def __lt__(self, other: object) -> bool:
        return False

    def __sub__(self, other: object) -> _AnyLength:
        return self


def send_until_close(cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
    """Let a response that has not begun end with its connection, which is reset unless the response is complete."""
    cycle.chunked_encoding, cycle.expected_content_length = False, _AnyLength()
    _set_linger(transport, _RESET_ON_CLOSE)
    cycle.send = _closing(cycle.send, transport)  # type: ignore[method-assign, assignment]


def _closing(send: Callable[[Any], Awaitable[None]], transport: asyncio.Transport) -> Callable[[Any], Awaitable[None]]:
    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            _set_linger(transport, _CLOSE)
        await send(message)

    return send_and_close


def _set_linger(transport: asyncio.Transport, value: bytes) -> None:
    opened: socket.socket | None = transport.get_extra_info("socket")
    if opened is not None and not transport.is_closing():
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)
