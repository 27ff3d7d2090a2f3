"""Sends one request to one pod and streams the answer back, byte for byte as it comes.

Knows: hop-by-hop headers, back-pressure, that a failure before the first byte may be repeated elsewhere and one after
it must break the connection, once a stream of events has said so. Does not know: how the pod was found, whether there
will be another attempt.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.server.event_stream import MEDIA_TYPE, EventStream, SseFramer, error_event
from voxfleet_gateway.server.request_context import REQUEST_ID_HEADER, RequestContext
from voxfleet_gateway.server.responses import broke_off, error_response
from voxfleet_gateway.telemetry import BROKEN_STREAMS, FIRST_BYTE

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 300.0  # a pod that sends nothing for so long is given up
WRITE_SECONDS = 60.0  # a client that takes nothing for so long is given up
MAX_ERROR_BYTES = 64 * 1024

FORWARDED_TO_POD = ("Content-Type", "Accept", "User-Agent", "traceparent", "tracestate")
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"}
HOP_BY_HOP |= {"transfer-encoding", "proxy-connection"}
OURS = {"server", "date", "content-length", "voxfleet-region", "voxfleet-route", "x-request-id"}

Upstream = aiohttp.ClientResponse


class UpstreamAnsweredError(UpstreamFailedError):
    """An answer of 500 or more, kept so that it can be passed on when it is not repeated."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(UpstreamFailure.ERROR_5XX, f"status {status}")
        self.answer = (status, headers, body)

    def response(self) -> web.Response:
        """The pod's own answer; one without Retry-After gets it, since nothing was spoken yet."""
        status, headers, body = self.answer
        return web.Response(status=status, headers={"Retry-After": "5", **headers}, body=body)


@dataclass(slots=True)
class Proxy:
    """Shared by all requests of this gateway."""

    session: aiohttp.ClientSession
    draining: Callable[[], bool] = lambda: False

    async def attempt(
        self, request: web.Request, url: str, body: bytes, context: RequestContext, events: EventStream | None = None
    ) -> web.StreamResponse:
        """One attempt; raises UpstreamFailedError while nothing has been sent to the client."""
        async with self._ask(request, url, body, context) as upstream:
            first = await _first_chunk(upstream)
            begun = await events.claim() if events is not None else None
            if begun is not None and upstream.status != 200:  # noqa: PLR2004
                return web.Response(status=upstream.status, body=first + await upstream.content.read(MAX_ERROR_BYTES))
            response = begun or _response(upstream, context)
            if self.draining():
                response.force_close()  # the client's next request belongs to another gateway
            await _Relay(request, response, context).run(upstream, first)
            return response

    @asynccontextmanager
    async def _ask(
        self, request: web.Request, url: str, body: bytes, context: RequestContext
    ) -> AsyncIterator[Upstream]:
        headers = {name: request.headers[name] for name in FORWARDED_TO_POD if name in request.headers}
        headers[REQUEST_ID_HEADER] = context.request_id
        headers["Accept-Encoding"] = "identity"  # what the pod sends is passed on unread
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            upstream = await self.session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamFailedError(_failure(error), repr(error)) from error
        finished = False
        try:
            yield upstream
            finished = upstream.content.at_eof()
        finally:
            if finished:
                upstream.release()
            else:
                upstream.close()  # at once: the pod stops generating when it sees this


@dataclass(slots=True)
class _Relay:
    """One pod's answer on its way to one client."""

    request: web.Request
    response: web.StreamResponse
    context: RequestContext

    async def run(self, upstream: Upstream, first: bytes) -> None:
        """Pass everything on; a pod that breaks off, or a client that takes nothing, ends the connection."""
        whole = SseFramer() if upstream.content_type == MEDIA_TYPE else None
        try:
            await self._pass_on(upstream, first, whole)
        except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError, aiohttp.ClientOSError):
            self._truncate(may_flush=whole is not None and not whole.is_mid_event and await self._tell())
        except TimeoutError:  # the client's
            self._truncate()
        except ConnectionResetError:
            self.context.truncated = True  # the client went away between two chunks

    async def _pass_on(self, upstream: Upstream, first: bytes, whole: SseFramer | None) -> None:
        await self.response.prepare(self.request)
        await self._write(first if whole is None else whole.feed(first))
        self._count_first_byte(upstream.status)
        async for chunk in upstream.content.iter_any():
            await self._write(chunk if whole is None else whole.feed(chunk))
        await self._write(b"" if whole is None else whole.held)
        await self.response.write_eof()

    async def _write(self, chunk: bytes) -> None:
        """Write and wait while the client's window is full: that is what slows the pod down."""
        if chunk:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.response.write(chunk)
            self.context.bytes_sent += len(chunk)

    async def _tell(self) -> bool:
        """Say in an event that the pod broke off; whether that went out."""
        try:
            await self._write(error_event(error_response(broke_off(self.context.region))))
        except (TimeoutError, ConnectionResetError):
            return False
        return True

    def _count_first_byte(self, status: int) -> None:
        context = self.context
        context.first_byte_seconds = context.elapsed_seconds
        if context.key is not None and status == HTTPStatus.OK:
            labels = (context.key.namespace, context.key.name, context.key.region)
            FIRST_BYTE.labels(*labels).observe(context.first_byte_seconds)

    def _truncate(self, *, may_flush: bool = False) -> None:
        """End the connection so that the client can't take the answer for complete; `may_flush` if it was told."""
        request, context = self.request, self.context
        context.truncated = True
        if context.key is not None:
            BROKEN_STREAMS.labels(context.key.namespace, context.key.name, context.key.region).inc()
        if request.transport is None:
            return
        if may_flush or request.version >= (1, 1):
            request.transport.close()  # the last chunk is missing, and what was sent still arrives
        else:
            request.transport.abort()  # a plain end would look like the end of the audio


async def _first_chunk(upstream: Upstream) -> bytes:
    """The first bytes of the body; an error of the pod's is read whole and raised."""
    try:
        if upstream.status >= 500:  # noqa: PLR2004
            body = await upstream.content.read(MAX_ERROR_BYTES)
            raise UpstreamAnsweredError(upstream.status, _passed_headers(upstream), body)
        return await upstream.content.readany()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamFailedError(_failure(error), repr(error)) from error


def _failure(error: Exception) -> UpstreamFailure:
    """What the client library's exception means for a retry."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamFailure.CONNECT
    return UpstreamFailure.TIMEOUT if isinstance(error, TimeoutError) else UpstreamFailure.RESET


def _passed_headers(upstream: Upstream) -> CIMultiDict[str]:
    """The pod's headers, less those that belong to one connection or to the gateway."""
    named = {name.strip().lower() for name in upstream.headers.get("Connection", "").split(",")}
    dropped = HOP_BY_HOP | OURS | named
    return CIMultiDict((name, value) for name, value in upstream.headers.items() if name.lower() not in dropped)


def _answer_headers(upstream: Upstream, context: RequestContext) -> CIMultiDict[str]:
    headers = _passed_headers(upstream)
    headers.update(context.headers())
    return headers


def _response(upstream: Upstream, context: RequestContext) -> web.StreamResponse:
    """The client's answer; a length that the pod announced is announced again, anything else is sent in chunks."""
    response = web.StreamResponse(status=upstream.status, headers=_answer_headers(upstream, context))
    if upstream.content_length is not None:
        response.content_length = upstream.content_length
    return response
