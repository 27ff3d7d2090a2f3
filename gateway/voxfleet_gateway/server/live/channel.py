"""The client's side of a session: what it is sent, one frame at a time, and how its connection ends.

Knows: close codes, the form of an `error` event, that a client which takes nothing is disconnected.
Does not know: pods; why a session ends.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Protocol

from aiohttp import WSMessage
from voxfleet_protocols.translation import Frame, Translation

from voxfleet_gateway.errors import GatewayError, Refusal
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.responses import refusal_event

WRITE_SECONDS = 60.0  # without a frame taken by the client for so long, its connection is closed
KEEP_ALIVE_SECONDS = 5.0  # plug-ins of agent frameworks give up after 10 s without a frame
CLOSE_SECONDS = 5.0  # for the client's own close frame


class CloseCode(IntEnum):
    """How the gateway itself ends a session (RFC 6455, 7.4.1, and IANA's registry from 1012 on)."""

    DONE = 1000
    IDLE = 1008
    FAILED = 1011
    RESTART = 1012
    TRY_LATER = 1013

    @classmethod
    def of(cls, refusal: Refusal) -> "CloseCode":
        """Return the code of a session that a refusal ends."""
        if refusal.retry_after_seconds is not None:
            return cls.TRY_LATER
        return cls.FAILED if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR else cls.IDLE


# Of a session that its pod ended with this close code, in metrics and logs.
STATUS_OF_CLOSE: dict[int, HTTPStatus] = {
    CloseCode.IDLE: HTTPStatus.REQUEST_TIMEOUT,
    CloseCode.TRY_LATER: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ClientGoneError(GatewayError):
    """The client closed the connection, or took nothing for WRITE_SECONDS."""


class ClientSocket(Protocol):
    """What carries a session: a WebSocket, or one context of several on a WebSocket."""

    @property
    def close_code(self) -> int | None:
        """What it was closed with; None while it is open."""

    async def receive(self) -> WSMessage:
        """Return the client's next message."""

    async def send_str(self, data: str) -> None:
        """Send a text frame."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""

    async def close(self, *, code: int) -> object:
        """Close it, from the gateway's side."""


@dataclass(slots=True)
class Channel:
    """Sends to the client of one session."""

    socket: ClientSocket
    context: RequestContext
    write_seconds: float
    translation: Translation | None = None  # of the client's protocol, if it is another server's
    is_stalled: bool = False

    async def send_text(self, text: str) -> None:
        """Send an event in the form of the client's protocol. Raises ClientGoneError, as the other methods do."""
        await self._send_all([text] if self.translation is None else self.translation.event(json.loads(text)))

    async def send_audio(self, audio: bytes) -> None:
        """Send audio."""
        await self._send_all([audio] if self.translation is None else self.translation.audio(audio))

    async def keep_alive(self, is_silent: Callable[[], bool]) -> None:
        """Send what keeps the client's plug-in from giving up, while nothing else is sent to it."""
        while self.translation is not None and is_silent():
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            if is_silent():
                await self._send_all(self.translation.keep_alive())

    async def send_refusal(self, refusal: Refusal) -> None:
        """Send a refusal as an `error` event, and count it, also when the client takes it no more."""
        self.context.record_refusal(refusal.code)
        await self.send_text(json.dumps(refusal_event(refusal)))

    async def close(self, code: int) -> None:
        """Close the WebSocket; wait a moment for the client's own close frame."""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.socket.close(code=code)

    async def _send_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            await self._send(frame)

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
