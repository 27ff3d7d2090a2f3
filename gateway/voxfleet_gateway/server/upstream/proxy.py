"""Streams one pod's response to one client unchanged, as its bytes arrive.

Knows: back-pressure; that an attempt may be repeated until the first byte has been sent to the client, and that a
failure after it must break the connection, in an event stream after an `error` event.
Does not know: how a response begins (attempt.py), how the pod was found, whether there will be another attempt.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp import web
from voxfleet_protocols.errors import form_of

from voxfleet_gateway.accounts.accounts import meter_for
from voxfleet_gateway.decisions.pods.stream_silence import StreamSilence
from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.refusals import broke_off
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.requests.speech_request import KeptBody
from voxfleet_gateway.server.responses import refuse
from voxfleet_gateway.server.upstream.attempt import (
    SPEECH_ANSWERS,
    FirstByteTimer,
    Upstream,
    is_delimited,
    passed_headers,
    read_error,
    started,
    upstream_headers,
)
from voxfleet_gateway.server.upstream.event_stream import MEDIA_TYPE, EventStream, SseFramer, error_event
from voxfleet_gateway.telemetry import BROKEN_STREAMS, FIRST_BYTE, OVERHEAD

WRITE_SECONDS = 60.0  # without a byte taken by the client for so long, its connection is closed


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What an attempt sends, and how long its client waits."""

    path: str
    body: KeptBody
    hold_left_seconds: float
    answers: AbstractSet[int] = SPEECH_ANSWERS  # statuses that are passed on, beside those of a client's mistake


@dataclass(slots=True)
class Proxy:
    """Shared by all requests of this gateway."""

    session: aiohttp.ClientSession
    is_draining: Callable[[], bool] = lambda: False

    async def attempt(
        self,
        request: web.Request,
        target: Target,
        sent: SentRequest,
        context: RequestContext,
        events: EventStream | None = None,
    ) -> web.StreamResponse:
        """Send once and stream the response; raises UpstreamFailedError while no byte was sent to the client."""
        headers = upstream_headers(request.headers, context.request_id, target_headers(target, context))
        timer = _waiting(context, target.first_byte(sent.hold_left_seconds))
        session = target.session(self.session)
        async with started(session, target.url(sent.path), headers, sent.body, timer, sent.answers) as (
            upstream,
            first,
        ):
            silence = target.silence()
            begun = await events.claim() if events is not None else None
            if begun is not None and upstream.status != HTTPStatus.OK:
                # The head is sent already: the caller writes this error as an event.
                return web.Response(status=upstream.status, body=await _error_body(upstream, silence, first))
            if upstream.status != HTTPStatus.OK and form_of(context.path) is not None:
                return await _kept_error(upstream, silence, first)
            response = begun or _response(upstream, context)
            if self.is_draining():
                response.force_close()  # the client's next request must reach another gateway
            await _Relay(request, response, context, sent.body, silence).run(upstream, first)
            return response


@dataclass(slots=True)
class _Relay:
    """One pod's response on its way to one client."""

    request: web.Request
    response: web.StreamResponse
    context: RequestContext
    sent: KeptBody
    silence: StreamSilence

    async def run(self, upstream: Upstream, first: bytes) -> None:
        """Pass the body on; close the client's connection when the pod breaks off or the client takes nothing."""
        framer = SseFramer() if upstream.content_type == MEDIA_TYPE else None
        try:
            await self._pass_on(upstream, first, framer)
        except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError, aiohttp.ClientOSError):
            self._truncate(may_flush=self._may_report(framer) and await self._write_error())
        except TimeoutError:  # WRITE_SECONDS passed
            self._truncate(is_stalled=True)
        except ConnectionResetError:  # the client closed the connection
            self.context.is_truncated = True
        except BaseException:  # cancelled, as by the end of a drain, or a mistake here: no complete end either
            self._close()
            raise

    async def _pass_on(self, upstream: Upstream, first: bytes, framer: SseFramer | None) -> None:
        await self.response.prepare(self.request)
        if upstream.status == HTTPStatus.OK:
            rate = upstream.headers.get("Voxfleet-Sample-Rate")
            self.context.meter = meter_for(self.context, rate, is_events=framer is not None)
        if self._is_undelimited:
            set_reset_on_close(self.request.transport, is_on=True)  # whatever closes it, the process's end included
        await self._write(first if framer is None else framer.feed(first))
        self._count_first_byte(upstream.status)
        self.sent.release()  # nothing is repeated from here on
        while chunk := await _next_chunk(upstream, self.silence):
            await self._write(chunk if framer is None else framer.feed(chunk))
        if upstream.status == HTTPStatus.OK and not is_delimited(upstream):
            raise aiohttp.ClientPayloadError(
                "the pod's response has neither a length nor chunks: its end proves nothing"
            )
        await self._write(b"" if framer is None else framer.pending)
        if self._is_undelimited:
            set_reset_on_close(self.request.transport, is_on=False)
        await self.response.write_eof()

    @property
    def _is_undelimited(self) -> bool:
        """Whether the response ends with its connection: HTTP/1.0 has no chunks."""
        return self.request.version < (1, 1) and self.response.content_length is None

    async def _write(self, chunk: bytes) -> None:
        # Awaits while the client's window is full; the pod's stream is not read meanwhile, which slows the pod down.
        if chunk:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.response.write(chunk)
            self.context.record_sent(chunk)

    def _may_report(self, framer: SseFramer | None) -> bool:
        """Whether an error event can follow; of a request that was handed over, the other gateway writes it, once."""
        return framer is not None and not framer.is_mid_event and not self.context.is_relayed

    async def _write_error(self) -> bool:
        """Write an event that says that the pod broke off; return False when the client did not take it."""
        try:
            await self._write(error_event(refuse(self.context, broke_off(self.context.region))))
        except (TimeoutError, ConnectionResetError):
            return False
        return True

    def _count_first_byte(self, status: int) -> None:
        context = self.context
        context.first_byte_seconds = context.elapsed_seconds
        # A request of another gateway is measured by that one, which its client is connected to.
        if context.key is not None and status == HTTPStatus.OK and not context.is_relayed:
            FIRST_BYTE.labels(*context.key.labels).observe(context.first_byte_seconds)
            OVERHEAD.observe(max(0.0, context.first_byte_seconds - context.waited_seconds))

    def _truncate(self, *, may_flush: bool = False, is_stalled: bool = False) -> None:
        """Count a broken response and close its connection; `may_flush` after an error event."""
        if self.context.key is not None and not self.context.is_relayed:
            BROKEN_STREAMS.labels(*self.context.key.labels).inc()
        self._close(may_flush=may_flush, is_stalled=is_stalled)

    def _close(self, *, may_flush: bool = False, is_stalled: bool = False) -> None:
        """Close the client's connection so that the response does not look complete."""
        request = self.request
        self.context.is_truncated = True
        if request.transport is None:
            return
        if may_flush:
            set_reset_on_close(request.transport, is_on=False)  # the event is read as the end that it is
        is_tls = request.transport.get_extra_info("ssl_object") is not None
        if is_stalled or (is_tls and self._is_undelimited and not may_flush):
            # What is unsent will never be taken, or must not be followed by TLS's close_notify, an orderly end.
            request.transport.abort()
        else:
            request.transport.close()  # the last chunk is missing, and what was sent still arrives


@asynccontextmanager
async def _waiting(context: RequestContext, timer: FirstByteTimer) -> AsyncIterator[None]:
    """Run an attempt's timer, and count its time as waited for the pod."""
    with context.waiting():
        async with timer:
            yield


async def _next_chunk(upstream: Upstream, silence: StreamSilence) -> bytes:
    """Return what has arrived, or wait for it; b"" at the end. Raises ClientPayloadError when the pod is silent."""
    silence.begin(time.monotonic())
    while (wait_seconds := silence.wait_seconds(time.monotonic())) is not None:
        try:
            # aiohttp's own sock_read does not see every end: a malformed chunk closes the connection, wakes no reader.
            async with asyncio.timeout(wait_seconds):
                chunk = await upstream.content.readany()
        except TimeoutError:
            continue
        silence.record_byte(time.monotonic())
        return chunk
    raise aiohttp.ClientPayloadError("the pod sent nothing for too long")


async def _error_body(upstream: Upstream, silence: StreamSilence, first: bytes) -> bytes:
    try:
        return await read_error(upstream, lambda: _next_chunk(upstream, silence), first)
    except (aiohttp.ClientError, OSError) as error:  # the client has seen nothing of this pod
        raise UpstreamFailedError(UpstreamFailure.RESET, repr(error)) from error


async def _kept_error(upstream: Upstream, silence: StreamSilence, first: bytes) -> web.Response:
    """Return a pod's error whole: it is written anew in the form of the client's protocol."""
    body = await _error_body(upstream, silence, first)
    return web.Response(status=upstream.status, headers=passed_headers(upstream), body=body)


def set_reset_on_close(transport: asyncio.Transport | None, *, is_on: bool) -> None:
    """Let the connection be closed with RST, which no client takes for the end of a response; or with FIN again."""
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None:
        # struct linger: on or off, 0 s. `transport.abort` alone sends FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", is_on, 0))


def _response(upstream: Upstream, context: RequestContext) -> web.StreamResponse:
    """Return the client's response: with the length that the pod announced, else in chunks."""
    headers = passed_headers(upstream)
    headers.update(context.headers())
    response = web.StreamResponse(status=upstream.status, headers=headers)
    if upstream.content_length is not None:
        response.content_length = upstream.content_length
    return response
