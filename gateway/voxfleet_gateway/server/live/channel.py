"""The client's side of a session: what it is sent, one frame at a time, and how its connection ends.

Knows: close codes, the form of an `error` event, that a client which takes nothing is disconnected.
Does not know: pods; why a session ends.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from enum import IntEnum

from aiohttp import web

from voxfleet_gateway.errors import GatewayError, Refusal
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.responses import error_body

WRITE_SECONDS = 60.0  # without a frame taken by the client for so long, its connection is closed
CLOSE_SECONDS = 5.0  # for the client's own close frame


class CloseCode(IntEnum):
    """How the gateway itself ends a session (RFC 6455, 7.4.1, and IANA's registry from 1012 on)."""

    DONE = 1000
    IDLE = 1008
    FAILED = 1011
    RESTART = 1012
    TRY_LATER = 1013


class ClientGoneError(GatewayError):
    """The client closed the connection, or took nothing for WRITE_SECONDS."""


@dataclass(slots=True)
class Channel:
    """Sends to the client of one session."""

    socket: web.WebSocketResponse
    context: RequestContext
    write_seconds: float
    is_stalled: bool = False

    async def send_text(self, text: str) -> None:
        """Send an event as it is. Raises ClientGoneError, as the other methods do."""
        await self._send(text)

    async def send_audio(self, audio: bytes) -> None:
        """Send audio as it is."""
        await self._send(audio)

    async def send_refusal(self, refusal: Refusal) -> None:
        """Send a refusal as an `error` event, and count it, also when the client takes it no more."""
        self.context.record_refusal(refusal.code)
        retry_after = refusal.retry_after_seconds
        more = {} if retry_after is None else {"retry_after_seconds": retry_after}
        await self._send(json.dumps({"type": "error", **error_body(refusal), **more}))

    async def close(self, code: int) -> None:
        """Close the WebSocket; wait a moment for the client's own close frame."""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.socket.close(code=code)

    async def _send(self, frame: str | bytes) -> None:
        try:
            # Awaits while the client's window is full; the pod is not read meanwhile, which slows it down.
            async with asyncio.timeout(self.write_seconds):
                await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_bytes(frame))
        except TimeoutError as error:
            self.is_stalled = True
            raise ClientGoneError(f"the client took nothing for {self.write_seconds:g} s") from error
        except (ConnectionResetError, RuntimeError) as error:  # RuntimeError: the socket was closed by another task
            raise ClientGoneError("the client closed the connection") from error
