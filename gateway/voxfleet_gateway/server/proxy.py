"""Sends one request to one pod and streams the response back unchanged, as its bytes arrive.

Knows: hop-by-hop headers; back-pressure; that an attempt may be repeated until the first byte has been sent to the
client, and that a failure after it must break the connection, in an event stream after an `error` event.
Does not know: how the pod was found, whether there will be another attempt.
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
from voxfleet_gateway.refusals import broke_off
from voxfleet_gateway.request_context import REQUEST_ID_HEADER, RequestContext
from voxfleet_gateway.server.event_stream import MEDIA_TYPE, EventStream, SseFramer, error_event
from voxfleet_gateway.server.responses import error_response
from voxfleet_gateway.telemetry import BROKEN_STREAMS, FIRST_BYTE

CONNECT_SECONDS = 2.0  # within a cluster a connection takes milliseconds
SILENCE_SECONDS = 300.0  # without a byte from the pod for so long, the attempt fails
WRITE_SECONDS = 60.0  # without a byte taken by the client for so long, its connection is closed
PIECE_BYTES = 64 * 1024
MAX_ERROR_BYTES = 64 * 1024  # of a pod's error body; OpenAI's form has a few hundred

FORWARDED_TO_POD = ("Content-Type", "Accept", "User-Agent", "traceparent", "tracestate")
TENANT_HEADER, PRIORITY_HEADER = "Voxfleet-Tenant", "Voxfleet-Priority"  # believed with --trust-gateway-headers
# RFC 9110, 7.6.1, and the two that older clients send.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"}
HOP_BY_HOP |= {"transfer-encoding", "proxy-connection"}
SET_BY_GATEWAY = {"server", "date", "content-length", "voxfleet-region", "voxfleet-route", "x-request-id"}

Upstream = aiohttp.ClientResponse


class UpstreamStatusError(UpstreamFailedError):
    """A response of 500 or more, kept so that it can be passed on when the attempt is not repeated."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(UpstreamFailure.ERROR_5XX, f"status {status}")
        self.kept = (status, headers, body)

    def response(self) -> web.Response:
        """Return the pod's response, with a Retry-After if it has none: no audio was sent, so a retry is safe."""
        status, headers, body = self.kept
        return web.Response(status=status, headers={"Retry-After": "5", **headers}, body=body)


def headers_for_pod(given: Mapping[str, str], context: RequestContext) -> dict[str, str]:
    """Return the headers of an attempt: some of the client's, and the caller's identity, set here only."""
    headers = {name: given[name] for name in FORWARDED_TO_POD if name in given}
    headers[REQUEST_ID_HEADER] = context.request_id
    headers["Accept-Encoding"] = "identity"  # the body is passed on as it is, whatever the client accepts
    if context.caller.tenant:
        headers |= {TENANT_HEADER: context.caller.tenant, PRIORITY_HEADER: str(context.caller.priority)}
    return headers


@dataclass(slots=True)
class Proxy:
    """Shared by all requests of this gateway."""

    session: aiohttp.ClientSession
    is_draining: Callable[[], bool] = lambda: False

    async def attempt(
        self, request: web.Request, url: str, body: bytes, context: RequestContext, events: EventStream | None = None
    ) -> web.StreamResponse:
        """Send once and stream the response; raises UpstreamFailedError while no byte was sent to the client."""
        async with self._post(request, url, body, context) as upstream:
            first = await _first_chunk(upstream)
            begun = await events.claim() if events is not None else None
            if begun is not None and upstream.status != 200:  # noqa: PLR2004
                # The head is sent already: the caller writes this error as an event.
                return web.Response(status=upstream.status, body=first + await upstream.content.read(MAX_ERROR_BYTES))
            response = begun or _response(upstream, context)
            if self.is_draining():
                response.force_close()  # the client's next request must reach another gateway
            await _Relay(request, response, context).run(upstream, first)
            return response

    @asynccontextmanager
    async def _post(
        self, request: web.Request, url: str, body: bytes, context: RequestContext
    ) -> AsyncIterator[Upstream]:
        headers = headers_for_pod(request.headers, context) | {"Content-Length": str(len(body))}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            upstream = await self.session.post(
                url, data=_pieces(body), headers=headers, timeout=timeout, allow_redirects=False
            )
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
                upstream.close()  # not returned to the pool: the pod stops decoding when its connection closes


@dataclass(slots=True)
class _Relay:
    """One pod's response on its way to one client."""

    request: web.Request
    response: web.StreamResponse
    context: RequestContext

    async def run(self, upstream: Upstream, first: bytes) -> None:
        """Pass the body on; close the client's connection when the pod breaks off or the client takes nothing."""
        framer = SseFramer() if upstream.content_type == MEDIA_TYPE else None
        try:
            await self._pass_on(upstream, first, framer)
        except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError, aiohttp.ClientOSError):
            self._truncate(may_flush=framer is not None and not framer.is_mid_event and await self._write_error())
        except TimeoutError:  # WRITE_SECONDS passed
            self._truncate()
        except ConnectionResetError:  # the client closed the connection
            self.context.is_truncated = True

    async def _pass_on(self, upstream: Upstream, first: bytes, framer: SseFramer | None) -> None:
        await self.response.prepare(self.request)
        await self._write(first if framer is None else framer.feed(first))
        self._count_first_byte(upstream.status)
        async for chunk in upstream.content.iter_any():
            await self._write(chunk if framer is None else framer.feed(chunk))
        await self._write(b"" if framer is None else framer.pending)
        await self.response.write_eof()

    async def _write(self, chunk: bytes) -> None:
        # Awaits while the client's window is full; the pod's stream is not read meanwhile, which slows the pod down.
        if chunk:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.response.write(chunk)
            self.context.bytes_sent += len(chunk)

    async def _write_error(self) -> bool:
        """Write an event that says that the pod broke off; return False when the client did not take it."""
        try:
            await self._write(error_event(error_response(broke_off(self.context.region))))
        except (TimeoutError, ConnectionResetError):
            return False
        return True

    def _count_first_byte(self, status: int) -> None:
        context = self.context
        context.first_byte_seconds = context.elapsed_seconds
        if context.key is not None and status == HTTPStatus.OK:
            FIRST_BYTE.labels(*context.key.labels).observe(context.first_byte_seconds)

    def _truncate(self, *, may_flush: bool = False) -> None:
        """Close the connection so that the response does not look complete; `may_flush` after an error event."""
        request, context = self.request, self.context
        context.is_truncated = True
        if context.key is not None:
            BROKEN_STREAMS.labels(*context.key.labels).inc()
        if request.transport is None:
            return
        if may_flush or request.version >= (1, 1):
            request.transport.close()  # the last chunk is missing, and what was sent still arrives
        else:
            request.transport.abort()  # without chunks a plain end would look like the end of the audio


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield the body in pieces, so that a slow pod's transport keeps no second copy of a large one."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


async def _first_chunk(upstream: Upstream) -> bytes:
    """Return the first bytes of the body; raises UpstreamStatusError for a status of 500 or more."""
    try:
        if upstream.status >= 500:  # noqa: PLR2004
            body = await upstream.content.read(MAX_ERROR_BYTES)
            raise UpstreamStatusError(upstream.status, _passed_headers(upstream), body)
        return await upstream.content.readany()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamFailedError(_failure(error), repr(error)) from error


def _failure(error: Exception) -> UpstreamFailure:
    """Return what the client library's exception means for a retry."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamFailure.CONNECT
    return UpstreamFailure.TIMEOUT if isinstance(error, TimeoutError) else UpstreamFailure.RESET


def _passed_headers(upstream: Upstream) -> CIMultiDict[str]:
    """Return the pod's headers without those of one connection and those that the gateway sets."""
    # A Connection header names further headers of this hop (RFC 9110, 7.6.1).
    named = {name.strip().lower() for name in upstream.headers.get("Connection", "").split(",")}
    dropped = HOP_BY_HOP | SET_BY_GATEWAY | named
    return CIMultiDict((name, value) for name, value in upstream.headers.items() if name.lower() not in dropped)


def _response(upstream: Upstream, context: RequestContext) -> web.StreamResponse:
    """Return the client's response: with the length that the pod announced, else in chunks."""
    headers = _passed_headers(upstream)
    headers.update(context.headers())
    response = web.StreamResponse(status=upstream.status, headers=headers)
    if upstream.content_length is not None:
        response.content_length = upstream.content_length
    return response
