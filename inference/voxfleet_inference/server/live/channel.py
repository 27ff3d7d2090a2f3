"""The sending side of a session: messages as JSON text frames, audio as binary frames, one frame at a time.

Knows: the form of each message, close codes, and that a client which reads nothing is disconnected.
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
    """How a session ends (RFC 6455, 7.4.1, and IANA's registry for 1013)."""

    DONE = 1000  # all text was spoken
    GOING_AWAY = 1001  # this server drains; the text that it had received was spoken
    IDLE = 1008  # `session_idle_seconds` passed without a message or speech
    FAILED = 1011  # the engine failed
    TRY_LATER = 1013  # a limit is reached; the error before has `retry_after_seconds`


class Channel:
    """Sends to one WebSocket."""

    def __init__(self, socket: WebSocket, slow_client_seconds: float) -> None:
        self._socket = socket
        self._slow_client_seconds = slow_client_seconds
        self._turn = asyncio.Lock()  # the session's two tasks both send

    async def send_event(self, kind: str, **fields: Any) -> None:
        """Send a message.

        Raises:
            SlowClientError: the client read nothing for `slow_client_seconds`; so do the other methods.
        """
        text = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        await self._send({"type": "websocket.send", "text": text})

    async def send_error(self, error: ApiError) -> None:
        """Send an error in OpenAI's form; with `retry_after_seconds` where the error has `Retry-After`."""
        retry_after = error.headers.get("Retry-After")
        more = {} if retry_after is None else {"retry_after_seconds": int(retry_after)}
        await self.send_event("error", **error.body, **more)

    async def send_audio(self, audio: bytes) -> None:
        """Send the next bytes of audio."""
        await self._send({"type": "websocket.send", "bytes": audio})

    async def close(self, code: CloseCode) -> None:
        """Close the WebSocket."""
        await self._send({"type": "websocket.close", "code": int(code), "reason": code.name.lower()})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._slow_client_seconds), self._turn:
                await self._socket.send(message)
        except TimeoutError as error:
            raise SlowClientError(f"the client read nothing for {self._slow_client_seconds:g} s") from error
