"""What a server says in a session: messages as JSON text, audio as binary, one at a time.

Knows: the form of each message, the codes that close a session, and that a client who reads nothing is cut off.
Does not know: what is spoken or why.
"""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any

from starlette.websockets import WebSocket

from voxfleet_inference.errors import ApiError
from voxfleet_inference.server.responses.sending import SlowClientError


class CloseCode(enum.IntEnum):
    """How a session ends (RFC 6455, 7.4.1)."""

    DONE = 1000  # everything was spoken
    GOING_AWAY = 1001  # this server drains; what had been appended was spoken
    QUEUE_FULL = 1008  # nothing was said for too long, by either side
    FAILED = 1011  # the engine failed
    TRY_LATER = 1013  # no room; the error before says when


class Channel:
    """The sending side of one WebSocket."""

    def __init__(self, socket: WebSocket, slow_client_seconds: float) -> None:
        self._socket = socket
        self._slow_client_seconds = slow_client_seconds
        self._turn = asyncio.Lock()

    async def send_event(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        text = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        await self._send({"type": "websocket.send", "text": text})

    async def tell_error(self, error: ApiError) -> None:
        """Send what is wrong, in OpenAI's form; `retry_after_seconds` is there when trying again makes sense."""
        retry_after = error.headers.get("Retry-After")
        more = {} if retry_after is None else {"retry_after_seconds": int(retry_after)}
        await self.send_event("error", **error.body, **more)

    async def send_audio(self, audio: bytes) -> None:
        """Send the next bytes of the audio."""
        await self._send({"type": "websocket.send", "bytes": audio})

    async def close(self, code: CloseCode) -> None:
        """Say goodbye."""
        await self._send({"type": "websocket.close", "code": int(code), "reason": code.name.lower()})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._slow_client_seconds), self._turn:
                await self._socket.send(message)
        except TimeoutError as error:
            raise SlowClientError("the client read nothing for too long") from error
