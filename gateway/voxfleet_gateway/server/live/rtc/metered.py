"""A WebRTC session of a tenant: its account at the pod, by which this gateway meters what passes it.

The account is a WebSocket that is opened before the offer, which names it. The pod asks for every text of the data
channel before it speaks it, and at the end reports the audio that its client was sent; the end of one ends the other.
A pod in another region sends and receives the same by that region's gateway (spilled.py).

Knows: the account's messages; that the session is an open request, counted, settled and logged when it ends.
Does not know: offers, what a limit is, WebRTC.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import Refusal, RequestRefusedError, UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.refusals import direct_audio_not_metered
from voxfleet_gateway.request_context import REQUEST_ID_HEADER, RequestContext
from voxfleet_gateway.server.live.messages import parse_event
from voxfleet_gateway.server.live.relay import CONNECT_SECONDS, MAX_POD_MESSAGE_BYTES, connected
from voxfleet_gateway.server.middleware import RTC_PATH, account
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds
from voxfleet_gateway.server.responses import refusal_event

ACCOUNT_PATH = RTC_PATH + "/account"
ACCOUNT_HEADER = "Voxfleet-Rtc-Account"
# Of a pod that keeps no accounts, since it is of an earlier version.
WITHOUT_ACCOUNTS = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@dataclass(slots=True, eq=False)
class MeteredSession:
    """One session that a pod has answered, or is about to."""

    socket: aiohttp.ClientWebSocketResponse
    accounts: Accounts
    context: RequestContext
    serving: asyncio.Task[None] | None = None
    is_ending: bool = False
    until_ended: AsyncExitStack = field(default_factory=AsyncExitStack)

    def begin(self, until_ended: AsyncExitStack) -> None:
        """Go on after the offer's response, which leaves the request's account open; nothing may fail before that."""
        self.context.outlives_response = True
        self.until_ended = until_ended
        until_ended.callback(account, self.context, self.accounts)
        until_ended.enter_context(self.accounts.kept_open(self.context.caller))
        self.serving = asyncio.create_task(self._serve(), name="metered session")

    async def end(self, refusal: Refusal) -> None:
        """End the session, whose client gets the refusal as an `error` event."""
        if self.is_ending:
            return
        self.is_ending = True
        self.context.record_refusal(refusal.code)
        self.context.status, self.context.is_truncated = int(refusal.status), True
        with contextlib.suppress(ConnectionResetError):
            await self.socket.send_json({**refusal_event(refusal), "type": "end"})
        if self.serving is not None:
            await asyncio.wait({self.serving})  # for what was spoken: the pod ends the session by itself

    async def _serve(self) -> None:
        async with self.until_ended:
            self.context.is_truncated = True  # until the pod has reported its end
            async for message in self.socket:
                if message.type is not WSMsgType.TEXT or await self._take(_parse(message.data)):
                    break

    async def _take(self, fields: dict[str, Any]) -> bool:
        """Take a message of the pod; return whether it is the last one."""
        match fields:
            case {"type": "text", "text": str(text)}:
                await self._answer(text)
                return False
            case {"type": "done", "spoken_seconds": int() | float() as seconds} if 0 <= seconds < math.inf:
                self.context.direct_audio_seconds = seconds
                self.context.is_truncated = self.context.status >= HTTPStatus.BAD_REQUEST
                return True
            case _:
                return False

    async def _answer(self, text: str) -> None:
        """Charge a text, as that of a WebSocket is charged, or refuse it; the session goes on."""
        try:
            self.accounts.charge_audio(self.context, estimated_audio_seconds(text))
        except RequestRefusedError as refused:
            self.context.record_refusal(refused.refusal.code)
            answer = {**refusal_event(refused.refusal), "type": "refused"}
        else:
            self.context.input_characters += len(text)
            answer = {"type": "admitted"}
        with contextlib.suppress(ConnectionResetError):
            await self.socket.send_str(json.dumps(answer))


@asynccontextmanager
async def pod_account(
    target: Target, of_cluster: aiohttp.ClientSession, context: RequestContext
) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, str]]:
    """Yield an account at a pod, and its name. Raises RequestRefusedError (501) for a pod that keeps none."""
    headers = {**target_headers(target, context), REQUEST_ID_HEADER: context.request_id}
    async with AsyncExitStack() as stack:
        opening = connected(target.session(of_cluster), target.url(ACCOUNT_PATH), headers)
        try:
            socket = await stack.enter_async_context(opening)
        except UpstreamFailedError as failed:
            if handshake_status(failed) in WITHOUT_ACCOUNTS:
                raise RequestRefusedError(direct_audio_not_metered()) from failed
            raise
        yield socket, await _account_id(socket)


def handshake_status(failed: UpstreamFailedError) -> int | None:
    """Return the status by which a WebSocket was refused; None when there was no response."""
    cause = failed.__cause__
    return cause.status if isinstance(cause, aiohttp.WSServerHandshakeError) else None


async def _account_id(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Return the name of the account, the pod's first message. Raises UpstreamFailedError."""
    try:
        message = await socket.receive(CONNECT_SECONDS)
    except TimeoutError as error:
        raise UpstreamFailedError(UpstreamFailure.TIMEOUT, "no account") from error
    match _parse(message.data) if message.type is WSMsgType.TEXT else {}:
        case {"type": "account", "id": str(name)} if name.isalnum():
            return name
        case _:
            raise UpstreamFailedError(UpstreamFailure.RESET, f"close code {socket.close_code}")


def _parse(text: str) -> dict[str, Any]:
    """Return a message, of any length that a connection takes: a text of 64 KiB is six times as long in ASCII."""
    return parse_event(text, MAX_POD_MESSAGE_BYTES)
