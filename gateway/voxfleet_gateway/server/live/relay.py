"""One attempt at a session: the connection to one pod, and the messages passed in both directions.

Knows: that messages are passed on unchanged; that another pod may take over until the first audio was sent, and then
repeats the events that the client has already.
Does not know: how the pod was found, whether there is a next attempt.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from voxfleet_gateway.accounts.accounts import meter_for
from voxfleet_gateway.dispatch.target import Target
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.peers.client import RegionSession
from voxfleet_gateway.peers.headers import REFUSAL_HEADER
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.live.channel import Channel, CloseCode
from voxfleet_gateway.server.live.messages import CANCEL, START, SessionStart, check_event, parse_event

CONNECT_SECONDS = 5.0  # for the handshake too, which a pod answers before it does any work
HEARTBEAT_SECONDS = 10.0  # a pod that answers no ping within half of it is gone; its client may well say nothing
MAX_POD_MESSAGE_BYTES = 4 * 2**20  # 160 ms of audio are some 60,000 bytes at most
ABNORMAL = 1006  # RFC 6455, 7.1.5: the connection ended without a close frame


@dataclass(slots=True)
class Progress:
    """What of a session the client has received, over all attempts."""

    passed_events: int = 0
    seed: int | None = None  # drawn by the first pod, and given to the next
    sample_rate: str | None = None  # of the audio, as the pod says
    has_audio: bool = False
    is_done: bool = False  # session.done was passed on


@dataclass(frozen=True, slots=True)
class PodClosed:
    """How the pod ended the session."""

    code: int
    is_broken: bool  # without session.done and a close frame of its own


@dataclass(slots=True)
class Relay:
    """One pod's part in a session."""

    upstream: aiohttp.ClientWebSocketResponse
    channel: Channel
    backlog: Backlog
    start: SessionStart
    progress: Progress
    context: RequestContext
    to_skip: int = field(init=False)  # events that an earlier pod sent, and this one repeats

    def __post_init__(self) -> None:
        self.to_skip = self.progress.passed_events

    async def run(self, target: Target, hold_left_seconds: float) -> PodClosed:
        """Pass messages on until the pod closes. Raises UpstreamFailedError while another pod may take over."""
        sending = asyncio.create_task(self._send_all(target.model.model))
        receiving = asyncio.create_task(self._receive_all(target, hold_left_seconds))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()  # raises a mistake; it returns when the pod's connection is closed
            return await receiving
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _send_all(self, served_model: str) -> None:
        try:
            await self.upstream.send_str(self.start.text(served_model, self.progress.seed))
            while True:
                text = await self.backlog.next()
                await self.upstream.send_str(self._as_served(text, served_model))
        except ConnectionResetError:
            return  # the receiving side knows how it ended

    def _as_served(self, text: str, served_model: str) -> str:
        message = parse_event(text)
        if message.get("type") == START:
            return self.start.correct(message, served_model)
        if message.get("type") == CANCEL:
            self.backlog.forget()  # what a repeated cancel would drop depends on the time
        return text

    async def _receive_all(self, target: Target, hold_left_seconds: float) -> PodClosed:
        async with target.first_byte(hold_left_seconds):
            message = await self.upstream.receive()
        while message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            if message.type is WSMsgType.TEXT:
                await self._pass_event(message.data)
            else:
                await self._pass_audio(message.data)
            message = await self.upstream.receive()
        return self._closed(message)

    async def _pass_event(self, text: str) -> None:
        event = parse_event(text)
        if self._is_replaceable:
            check_event(event, text)
        if event.get("type") == "session.started":
            self._note_started(event)
        if self.to_skip > 0:
            self.to_skip -= 1
            return
        self.progress.is_done = event.get("type") == "session.done"
        self.progress.passed_events += 1
        await self.channel.send_text(text)
        self.context.bytes_sent += len(text)

    def _note_started(self, event: dict[str, Any]) -> None:
        seed, response_format = event.get("seed"), event.get("response_format")
        if isinstance(seed, int):
            self.progress.seed = seed
        if isinstance(response_format, str):
            self.context.response_format = response_format
        self.progress.sample_rate = str(event.get("sample_rate"))

    async def _pass_audio(self, audio: bytes) -> None:
        if not self.progress.has_audio:
            self.progress.has_audio = True
            self.backlog.forget()
            self.context.first_byte_seconds = self.context.elapsed_seconds
            self.context.meter = meter_for(self.context, self.progress.sample_rate, is_events=False)
        await self.channel.send_audio(audio)
        self.context.record_sent(audio)

    @property
    def _is_replaceable(self) -> bool:
        return self.backlog.is_replayable and not self.progress.has_audio

    def _closed(self, message: aiohttp.WSMessage) -> PodClosed:
        code = self.upstream.close_code or ABNORMAL
        has_frame = message.type is WSMsgType.CLOSE and code not in {ABNORMAL, CloseCode.RESTART}
        is_broken = not (has_frame or self.progress.is_done)
        if is_broken and self._is_replaceable:
            raise UpstreamFailedError(UpstreamFailure.RESET, f"close code {code}")
        return PodClosed(code, is_broken)


@asynccontextmanager
async def connected(
    session: aiohttp.ClientSession | RegionSession, url: str, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Yield the WebSocket to a pod. Raises UpstreamFailedError when there is none."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            upstream = await session.ws_connect(
                url,
                headers=headers,
                heartbeat=HEARTBEAT_SECONDS,
                max_msg_size=MAX_POD_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
    except aiohttp.WSServerHandshakeError as error:
        raise UpstreamFailedError(_refused(error), f"status {error.status}") from error
    except TimeoutError as error:
        raise UpstreamFailedError(UpstreamFailure.TIMEOUT, f"no handshake within {CONNECT_SECONDS:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        is_connect = isinstance(error, aiohttp.ClientConnectorError)
        failure = UpstreamFailure.CONNECT if is_connect else UpstreamFailure.RESET
        raise UpstreamFailedError(failure, repr(error)) from error
    async with upstream:
        yield upstream


def _refused(error: aiohttp.WSServerHandshakeError) -> UpstreamFailure:
    """Return what a refused handshake means: a full or draining pod, a broken one, or no speech server."""
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in (error.headers or {}):
        return UpstreamFailure.FULL
    if REFUSAL_HEADER in (error.headers or {}) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return UpstreamFailure.REFUSED
    return UpstreamFailure.ERROR_5XX if 500 <= error.status < 600 else UpstreamFailure.INVALID  # noqa: PLR2004
