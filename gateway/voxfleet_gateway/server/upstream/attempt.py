"""One attempt at a pod, up to the first bytes of its response: what is sent, what counts as a failure.

Knows: hop-by-hop headers, which statuses a speech server has, how long an error's body may be.
Does not know: how the pod was found, how the response reaches the client (proxy.py), whether there is a next attempt.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from voxfleet_gateway.errors import Refusal, UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.peers.client import RegionSession
from voxfleet_gateway.peers.headers import REFUSAL_HEADER
from voxfleet_gateway.request_context import REQUEST_ID_HEADER
from voxfleet_gateway.server.requests.speech_request import KeptBody
from voxfleet_gateway.server.responses import SHOULD_RETRY_HEADER, error_response

CONNECT_SECONDS = 2.0  # within a cluster a connection takes milliseconds
PIECE_BYTES = 64 * 1024
SPEECH_ANSWERS = frozenset({HTTPStatus.OK})
OFFER_ANSWERS = frozenset({HTTPStatus.CREATED, HTTPStatus.NOT_IMPLEMENTED})  # of a pod with WebRTC, and without
MAX_ERROR_BYTES = 64 * 1024  # of a pod's error body; OpenAI's form has a few hundred

FORWARDED_TO_POD = ("Accept", "User-Agent", "traceparent", "tracestate")
# RFC 9110, 7.6.1, and the two that older clients send.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"}
HOP_BY_HOP |= {"transfer-encoding", "proxy-connection"}
SET_BY_GATEWAY = {"server", "date", "content-length", "voxfleet-region", "voxfleet-route", "x-request-id"}
SET_BY_GATEWAY |= {REFUSAL_HEADER.lower()}

Upstream = aiohttp.ClientResponse
FirstByteTimer = AbstractAsyncContextManager[object]  # raises TimeoutError, or UpstreamFailedError


class UpstreamStatusError(UpstreamFailedError):
    """A response of 500 or more, kept so that it can be passed on when the attempt is not repeated."""

    has_words = True

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        # With Retry-After a 503 says that the server is full or drains; without, that it is broken.
        is_full = status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in headers
        super().__init__(UpstreamFailure.FULL if is_full else UpstreamFailure.ERROR_5XX, f"status {status}")
        self.kept = (status, headers, body)

    def response(self) -> web.Response:
        """Return the pod's response, with a Retry-After if it has none: no audio was sent, so a retry is safe."""
        status, headers, body = self.kept
        return web.Response(
            status=status, headers={"Retry-After": "5", SHOULD_RETRY_HEADER: "true", **headers}, body=body
        )


@asynccontextmanager
async def started(  # noqa: PLR0913, PLR0917  # one attempt: where, what, how long, which answers
    session: aiohttp.ClientSession | RegionSession,
    url: str,
    headers: Mapping[str, str],
    body: KeptBody,
    timer: FirstByteTimer,
    answers: AbstractSet[int] = SPEECH_ANSWERS,
) -> AsyncIterator[tuple[Upstream, bytes]]:
    """Send the request; yield the response and the first bytes of its body. Raises UpstreamFailedError before that."""
    upstream, finished = None, False
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    sent = {**headers, "Content-Length": str(len(body))}
    try:
        try:
            async with timer:
                upstream = await session.post(
                    url, data=_pieces(body), headers=sent, timeout=limits, allow_redirects=False
                )
                if isinstance(session, RegionSession):
                    _check_peer(upstream)
                first = await _first_chunk(upstream, answers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamFailedError(_failure(error), repr(error)) from error
        yield upstream, first
        finished = upstream.content.at_eof()
    finally:
        if upstream is not None and finished:
            upstream.release()
        elif upstream is not None:
            upstream.close()  # not returned to the pool: the pod stops decoding when its connection closes


def upstream_headers(given: Mapping[str, str], request_id: str, identity: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an attempt: some of the client's, and the caller's identity, set by the gateway only."""
    return {name: given[name] for name in FORWARDED_TO_POD if name in given} | {
        "Content-Type": "application/json",  # the body has been parsed as such, whatever its client called it
        REQUEST_ID_HEADER: request_id,
        "Accept-Encoding": "identity",  # the body is passed on as it is, whatever the client accepts
        **identity,
    }


def passed_headers(upstream: Upstream) -> CIMultiDict[str]:
    """Return the pod's headers without those of one connection and those that the gateway sets."""
    # A Connection header names further headers of this hop (RFC 9110, 7.6.1).
    named = {name.strip().lower() for name in upstream.headers.get("Connection", "").split(",")}
    dropped = HOP_BY_HOP | SET_BY_GATEWAY | named
    return CIMultiDict((name, value) for name, value in upstream.headers.items() if name.lower() not in dropped)


def is_delimited(upstream: Upstream) -> bool:
    """Whether the end of the body differs from a connection that broke: it has a length, or chunks."""
    return upstream.content_length is not None or "chunked" in upstream.headers.get("Transfer-Encoding", "").lower()


async def read_error(upstream: Upstream, read: Callable[[], Awaitable[bytes]], first: bytes = b"") -> bytes:
    """Return an error's whole body; in place of one beyond MAX_ERROR_BYTES the gateway's own."""
    body = bytearray(first)
    while len(body) <= MAX_ERROR_BYTES and (chunk := await read()):
        body += chunk
    if len(body) <= MAX_ERROR_BYTES:
        return bytes(body)
    message = f"The server responded with status {upstream.status} and more than {MAX_ERROR_BYTES} bytes."
    refusal = error_response(Refusal(HTTPStatus.BAD_GATEWAY, "upstream_failed", message))
    return bytes(refusal.body) if isinstance(refusal.body, bytes | bytearray) else b""


async def _pieces(body: KeptBody) -> AsyncIterator[bytes]:
    """Yield the body in pieces, so that a slow pod's transport keeps no second copy of a large one."""
    body.is_sent = False
    for start in range(0, len(body), PIECE_BYTES):
        yield body.data[start : start + PIECE_BYTES]
    body.is_sent = True


def _check_peer(upstream: Upstream) -> None:
    """Raise UpstreamFailedError for a peer's own refusal that asks its sender for something else, not the client.

    The client's mistakes were found here; what is left is a model that the peer does not know yet, a certificate.
    """
    code = upstream.headers.get(REFUSAL_HEADER)
    if code is not None and upstream.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UpstreamFailedError(UpstreamFailure.REFUSED, f"status {upstream.status}, {code:.80}")


async def _first_chunk(upstream: Upstream, answers: AbstractSet[int]) -> bytes:
    """Return the first bytes of the body; raises UpstreamFailedError for a 5xx, or a status that is no answer."""
    status = upstream.status
    if 500 <= status < 600 and status not in answers:  # noqa: PLR2004
        raise UpstreamStatusError(
            status, passed_headers(upstream), await read_error(upstream, upstream.content.readany)
        )
    if status not in answers and not 400 <= status < 600:  # noqa: PLR2004
        raise UpstreamFailedError(UpstreamFailure.INVALID, f"status {status}")  # no answer of a speech server
    return await upstream.content.readany()


def _failure(error: Exception) -> UpstreamFailure:
    """Return what the client library's exception means for a retry."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamFailure.CONNECT
    return UpstreamFailure.TIMEOUT if isinstance(error, TimeoutError) else UpstreamFailure.RESET
