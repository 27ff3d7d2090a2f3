"""A session over a WebSocket in another server's protocol, by its translation.

Knows: that one frame of a client may stand for several messages or none, and one event for several frames or none.
Does not know: any protocol (voxfleet_protocols).
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from voxfleet_protocols.translation import Frame, Message, Translation

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.server.live.client_messages import ClientMessage, SessionEnd, parse_fields
from voxfleet_inference.server.live.server_messages import ServerMessage, SessionError, SessionStarted, message_fields
from voxfleet_inference.server.live.transport import Ending


class Frames(Protocol):
    """What carries a session's frames: a WebSocket, or one context of several on a WebSocket."""

    async def receive(self) -> str | None:
        """Return the next text frame; None stands for a binary one. Raises ClientLeftError."""

    async def send(self, frame: Frame) -> None:
        """Send a frame. Raises ClientLeftError or SlowClientError."""

    async def close(self, ending: Ending) -> None:
        """End it after everything that was sent."""


class TranslatedTransport:
    """One client's connection."""

    def __init__(self, socket: Frames, translation: Translation) -> None:
        self._socket, self._translation = socket, translation
        self._waiting: deque[Message] = deque(translation.opened())
        self._has_started = False
        self._is_refused = False  # the handshake's own session.start: no other can follow it

    async def receive(self) -> ClientMessage:
        """Return the next message."""
        while not self._waiting:
            if self._is_refused:
                return SessionEnd()
            self._waiting.extend(self._translated(await self._socket.receive()))
        return parse_fields(self._waiting.popleft())

    async def send(self, message: ServerMessage) -> None:
        """Send the frames of an event."""
        self._has_started = self._has_started or isinstance(message, SessionStarted)
        self._is_refused = isinstance(message, SessionError) and not self._has_started
        await self._send_all(self._translation.event(message_fields(message)))

    async def send_audio(self, audio: bytes) -> None:
        """Send the frames of the next audio."""
        await self._send_all(self._translation.audio(audio))

    async def close(self, ending: Ending) -> None:
        """Close the WebSocket."""
        await self._socket.close(ending)

    def _translated(self, text: str | None) -> list[Message]:
        if text is None:
            raise InvalidFieldError("a message must be JSON in a text frame, not a binary one", code="binary_message")
        with as_field_error():
            return self._translation.received(text)

    async def _send_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            await self._socket.send(frame)
