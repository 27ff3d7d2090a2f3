"""A tenant's WebRTC offer that another region serves: one WebSocket to its gateway has the offer and the account.

Both have to reach the same gateway of that region, and a load balancer may lead each connection to another one. So the
offer is the connection's first message, the answer the second; then it is the account of the session (metered.py),
which that gateway passes on to its pod (of_peers.py).

Knows: the form of the answer, and what it means for another attempt.
Does not know: how the offer is routed there, what the account's messages say.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp import WSMsgType, web

from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.peers.headers import REFUSAL_HEADER
from voxfleet_gateway.server.live.messages import parse_event
from voxfleet_gateway.server.live.relay import MAX_POD_MESSAGE_BYTES, connected
from voxfleet_gateway.server.live.rtc.metered import ACCOUNT_PATH, handshake_status
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.upstream.attempt import OFFER_ANSWERS, UpstreamStatusError, upstream_headers
from voxfleet_gateway.server.upstream.proxy import SentRequest

# Of a gateway of an earlier version: the path is one of a session there, which can be deleted alone.
WITHOUT_SPILLED_OFFERS = HTTPStatus.METHOD_NOT_ALLOWED
PASSED_ON = ("Location", "Content-Type", "Cache-Control", "Retry-After", REFUSAL_HEADER)


@dataclass(frozen=True, slots=True)
class Answer:
    """A pod's answer to an offer, or its gateway's refusal."""

    status: int
    headers: Mapping[str, str]
    body: str

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Answer":
        """Return what is passed on of a response."""
        kept = {name: headers[name] for name in PASSED_ON if name in headers}
        return cls(status, kept, body.decode("utf-8", "replace"))

    @classmethod
    def of_response(cls, response: web.Response) -> "Answer":
        """Return a response of this gateway's own."""
        body = response.body
        return cls.of(response.status, response.headers, bytes(body) if isinstance(body, bytes | bytearray) else b"")

    def text(self) -> str:
        """Return the message."""
        return json.dumps({"type": "answer", "status": self.status, "headers": dict(self.headers), "body": self.body})

    def response(self) -> web.Response:
        """Return the client's response."""
        headers = {name: value for name, value in self.headers.items() if name != REFUSAL_HEADER}
        return web.Response(status=self.status, headers=headers, body=self.body.encode())

    def check(self) -> None:
        """Raise UpstreamFailedError for what another region or attempt may do better, as of a response to a POST."""
        if self.status in OFFER_ANSWERS:
            return
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UpstreamStatusError(self.status, self.headers, self.body.encode())
        if (code := self.headers.get(REFUSAL_HEADER)) is not None:
            raise UpstreamFailedError(UpstreamFailure.REFUSED, f"status {self.status}, {code:.80}")


@dataclass(frozen=True, slots=True)
class SpilledOffer:
    """An offer that was answered, and the connection that is now its session's account."""

    answer: Answer
    socket: aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def spilled_offer(
    request: web.Request, target: Target, of_cluster: aiohttp.ClientSession, sent: SentRequest
) -> AsyncIterator[SpilledOffer | None]:
    """Yield an offer's answer; None for a gateway of an earlier version. Raises UpstreamFailedError."""
    context = request[CONTEXT]
    headers = upstream_headers(request.headers, context.request_id, target_headers(target, context))
    async with AsyncExitStack() as stack:
        try:
            opening = connected(target.session(of_cluster), target.url(ACCOUNT_PATH), headers)
            socket = await stack.enter_async_context(opening)
        except UpstreamFailedError as failed:
            if handshake_status(failed) != WITHOUT_SPILLED_OFFERS:
                raise
            socket = None
        if socket is None:
            yield None
            return
        with context.waiting():
            async with target.first_byte(sent.hold_left_seconds):
                answer = await _answer(socket, sent)
        answer.check()
        yield SpilledOffer(answer, socket)


async def _answer(socket: aiohttp.ClientWebSocketResponse, sent: SentRequest) -> Answer:
    try:
        await socket.send_str(sent.body.data.decode())
        message = await socket.receive()
    except ConnectionResetError as error:
        raise UpstreamFailedError(UpstreamFailure.RESET, repr(error)) from error
    match parse_event(message.data, MAX_POD_MESSAGE_BYTES) if message.type is WSMsgType.TEXT else {}:
        case {"type": "answer", "status": int(status), "headers": dict(headers), "body": str(body)}:
            return Answer.of(status, {str(name): str(value) for name, value in headers.items()}, body.encode())
        case _:
            raise UpstreamFailedError(UpstreamFailure.RESET, f"close code {socket.close_code}")
