"""The account of a session: a WebSocket of the gateway that passes the offer on, since the text and the audio pass it.

It opens the account first and names it in the offer (`Voxfleet-Rtc-Account`). Text of the data channel then waits for
the gateway, which admits or refuses it by its tenant's limits; the end of one ends the other: session and account.

Knows: the messages between both. The server sends `account` (`id`), `text` (`text`) and `done` (`spoken_seconds`), the
gateway one `admitted` or `refused` for each text, in order, and `end`; the last two with an `error` event's fields.
Does not know: limits, tenants, keys, WebRTC.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from voxfleet_inference.errors import ApiError, GatewayRefusalError, InvalidFieldError
from voxfleet_inference.requests import json_object
from voxfleet_inference.server.live.client_messages import ClientMessage, SessionStart, TextAppend

HEADER: Final = "voxfleet-rtc-account"
_UNUSED_SECONDS: Final = 30.0  # for the offer, which follows at once
_RETRY_SECONDS: Final = 1
_LOST: Final = {
    "error": {
        "message": "the gateway that passed this session on is gone",
        "type": "server_error",
        "param": None,
        "code": "account_lost",
    },
    "retry_after_seconds": _RETRY_SECONDS,
}


class Account:
    """The server's end of one account; a session takes it once."""

    def __init__(self, socket: WebSocket, tenant: str) -> None:
        self.account_id, self.tenant = uuid.uuid4().hex, tenant
        self.on_end: Callable[[ApiError], None] = lambda _error: None  # the session's, once there is one
        self._socket = socket
        self._unused: asyncio.Timeout | None = None
        self._waiting: deque[asyncio.Future[GatewayRefusalError | None]] = deque()

    async def run(self) -> None:
        """Take the gateway's messages until the connection closes, which ends the session."""
        # A binary frame has no text; a connection that was closed from here cannot be read.
        with suppress(WebSocketDisconnect, InvalidFieldError, KeyError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_UNUSED_SECONDS) as self._unused:
                await self._socket.send_json({"type": "account", "id": self.account_id})
                while True:
                    self._take(json_object(await self._socket.receive_text(), "message"))
        self._end(GatewayRefusalError(_LOST))

    def keep(self) -> None:
        """Let a session use the account: the connection is kept from now on."""
        if self._unused is not None:
            self._unused.reschedule(None)

    async def admit(self, text: str) -> GatewayRefusalError | None:
        """Return None when the gateway admits the text, else its refusal; never without the gateway's answer."""
        answer: asyncio.Future[GatewayRefusalError | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        await self._send({"type": "text", "text": text})
        return await answer

    async def close(self, spoken_seconds: float) -> None:
        """Report the audio that the client was sent, and close the connection."""
        await self._send({"type": "done", "spoken_seconds": spoken_seconds})
        with suppress(RuntimeError):  # the gateway has closed it
            await self._socket.close()

    async def _send(self, message: dict[str, Any]) -> None:
        # A connection that is closed ends the session by `run`.
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.send_text(json.dumps(message))  # ASCII: lone surrogates pass too

    def _take(self, fields: dict[str, Any]) -> None:
        if fields.get("type") == "end":  # the connection stays, for `done`
            self._end(GatewayRefusalError(fields))
        else:
            self._resolve(None if fields.get("type") == "admitted" else GatewayRefusalError(fields))

    def _end(self, error: GatewayRefusalError) -> None:
        self.on_end(error)
        while self._waiting:
            self._resolve(error)

    def _resolve(self, answer: GatewayRefusalError | None) -> None:
        if self._waiting and not (oldest := self._waiting.popleft()).done():
            oldest.set_result(answer)


class AdmittedMessages:
    """The messages of a data channel on their way to the session, in order; text passes when it is admitted."""

    def __init__(
        self, account: Account, put: Callable[[ClientMessage], None], refuse: Callable[[ApiError], None]
    ) -> None:
        self._account, self._put, self._refuse = account, put, refuse
        self._received: asyncio.Queue[ClientMessage] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._received.qsize()

    def take(self, message: ClientMessage) -> None:
        """Append a message."""
        self._received.put_nowait(message)

    async def run(self) -> None:
        """Pass messages on until cancelled."""
        while True:
            message = await self._received.get()
            text = _added_text(message)
            refusal = await self._account.admit(text) if text else None
            if refusal is None:
                self._put(message)
            else:
                self._refuse(refusal)


def _added_text(message: ClientMessage) -> str:
    match message:
        case SessionStart():
            return message.input
        case TextAppend():
            return message.text
        case _:
            return ""
