"""A session over a WebSocket in VoxFleet's own protocol: JSON in text frames, audio in binary frames.

Knows: close codes, and that a client which reads nothing is disconnected.
Does not know: what is spoken or why, or which message is allowed when.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from voxfleet_inference.server.live.client_messages import ClientMessage, parse_message
from voxfleet_inference.server.live.server_messages import ServerMessage, message_json
from voxfleet_inference.server.live.transport import Ending
from voxfleet_inference.server.responses.sending import ClientLeftError, SlowClientError


class CloseCode(enum.IntEnum):
    """How a session ends (RFC 6455, 7.4.1, and IANA's registry for 1013)."""

    DONE = 1000
    GOING_AWAY = 1001
    IDLE = 1008
    REVOKED = 1008  # as IDLE: a policy violation
    FAILED = 1011
    TRY_LATER = 1013


CLOSE_CODES: Final[Mapping[Ending, CloseCode]] = {ending: CloseCode[ending.name] for ending in Ending}


class FrameSocket:
    """One accepted WebSocket, frame by frame, in whatever protocol."""

    def __init__(self, socket: WebSocket, slow_client_seconds: float) -> None:
        self._socket = socket
        self._slow_client_seconds = slow_client_seconds
        self._turn = asyncio.Lock()  # a session's two tasks both send
        self._unread: list[str | None] = []

    async def receive(self) -> str | None:
        """Return the next text frame; None stands for a binary one. Raises ClientLeftError."""
        if self._unread:
            return self._unread.pop()
        frame = await self._socket.receive()
        if frame["type"] == "websocket.disconnect":
            raise ClientLeftError
        return frame.get("text")

    def unread(self, frame: str | None) -> None:
        """Let the next `receive` return this frame again."""
        self._unread.append(frame)

    async def send(self, frame: str | bytes) -> None:
        """Send a text or binary frame. Raises ClientLeftError or SlowClientError."""
        await self._send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})

    async def close(self, ending: Ending) -> None:
        """Close the WebSocket."""
        code = CLOSE_CODES[ending]
        await self._send({"type": "websocket.close", "code": int(code), "reason": code.name.lower()})

    async def _send(self, frame: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._slow_client_seconds), self._turn:
                await self._socket.send(frame)
        except TimeoutError as error:
            raise SlowClientError(f"the client read nothing for {self._slow_client_seconds:g} s") from error
        except WebSocketDisconnect as error:
            raise ClientLeftError from error


class WebSocketTransport:
    """A WebSocket in VoxFleet's own protocol."""

    def __init__(self, socket: FrameSocket) -> None:
        self._socket = socket

    async def receive(self) -> ClientMessage:
        """Return the next message; a binary frame is an invalid one."""
        return parse_message(await self._socket.receive())

    async def send(self, message: ServerMessage) -> None:
        """Send a text frame."""
        await self._socket.send(message_json(message))

    async def send_audio(self, audio: bytes) -> None:
        """Send a binary frame."""
        await self._socket.send(audio)

    async def close(self, ending: Ending) -> None:
        """Close the WebSocket."""
        await self._socket.close(ending)
