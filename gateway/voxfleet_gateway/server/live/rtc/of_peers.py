"""Tenants' WebRTC offers of gateways of other regions: answered by a pod here, metered by the gateway that sent them.

Knows: that the connection's first message is the offer, its second the answer (spilled.py), and that it is the account
of the session from then on (relayed.py). Does not know: limits, SDP.
"""

import contextlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp import WSMsgType, web

from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.peers.headers import REFUSAL_HEADER
from voxfleet_gateway.refusals import bad_request
from voxfleet_gateway.server.live.relay import CONNECT_SECONDS
from voxfleet_gateway.server.live.routes import ESCAPED_BYTES
from voxfleet_gateway.server.live.rtc.metered import ACCOUNT_HEADER, pod_account
from voxfleet_gateway.server.live.rtc.offer_body import JSON_TYPE, parse_offer
from voxfleet_gateway.server.live.rtc.offers import Offers
from voxfleet_gateway.server.live.rtc.relayed import RelayedSession
from voxfleet_gateway.server.live.rtc.spilled import Answer
from voxfleet_gateway.server.middleware import CONTEXT, RTC_PATH
from voxfleet_gateway.server.responses import error_response
from voxfleet_gateway.server.upstream.attempt import (
    UpstreamStatusError,
    passed_headers,
    read_error,
    started,
    upstream_headers,
)
from voxfleet_gateway.server.upstream.proxy import SentRequest


@dataclass(frozen=True, slots=True)
class PeerOffers:
    """The handler."""

    offers: Offers

    async def session(self, request: web.Request) -> web.StreamResponse:
        """Serve one offer and the account of its session."""
        context, live, settings = request[CONTEXT], self.offers.live, self.offers.speech.settings
        limit = settings.max_body_bytes * ESCAPED_BYTES  # the other gateway has written the offer anew, in ASCII
        socket = web.WebSocketResponse(heartbeat=live.ping_seconds, max_msg_size=limit, compress=False)
        if not socket.can_prepare(request):
            raise RequestRefusedError(bad_request("The WebSocket handshake is not valid.", None, "bad_handshake"))
        context.is_speech = True
        await socket.prepare(request)
        async with AsyncExitStack() as until_ended:
            answer, relayed = await self._answered(request, socket, until_ended)
            context.status = answer.status
            with contextlib.suppress(ConnectionResetError):
                await socket.send_str(answer.text())
                if relayed is not None:
                    live.sessions.add(relayed)
                    until_ended.callback(live.sessions.discard, relayed)
                    await relayed.run()
        await socket.close()
        return socket

    async def _answered(
        self, request: web.Request, socket: web.WebSocketResponse, until_ended: AsyncExitStack
    ) -> tuple[Answer, RelayedSession | None]:
        """Return the answer, with a session whose account is open until the stack is closed."""
        context, offers = request[CONTEXT], self.offers
        try:
            with offers.speech.bodies.reserve() as reservation:
                body = await _first_message(socket)
                reservation.grow(len(body))
                offer = parse_offer(body, JSON_TYPE, context.asked_model)
                answer, pod = await offers.dispatch(
                    request, offer, lambda target, sent: self._attempt(request, target, sent, until_ended)
                )
        except RequestRefusedError as refused:
            context.record_refusal(refused.refusal.code)
            response = error_response(refused.refusal)
            response.headers[REFUSAL_HEADER] = refused.refusal.code
            return Answer.of_response(response), None
        except UpstreamStatusError as failed:
            return Answer.of_response(failed.response()), None
        return answer, None if pod is None else RelayedSession(pod, socket, context)

    async def _attempt(
        self, request: web.Request, target: Target, sent: SentRequest, until_ended: AsyncExitStack
    ) -> tuple[Answer, aiohttp.ClientWebSocketResponse | None]:
        context, session = request[CONTEXT], self.offers.speech.proxy.session
        async with AsyncExitStack() as stack:
            stack.enter_context(target.sending(is_measured=False))
            pod, account_id = await stack.enter_async_context(pod_account(target, session, context))
            identity = {**target_headers(target, context), ACCOUNT_HEADER: account_id}
            headers = upstream_headers(request.headers, context.request_id, identity)
            timer = target.first_byte(sent.hold_left_seconds)
            async with started(
                target.session(session), target.url(RTC_PATH), headers, sent.body, timer, sent.answers
            ) as (upstream, first):
                body = await read_error(upstream, upstream.content.readany, first)
                answer = Answer.of(upstream.status, passed_headers(upstream), body)
            if answer.status != HTTPStatus.CREATED:
                return answer, None
            self.offers.keep(answer.headers.get("Location", ""), target, context)
            await until_ended.enter_async_context(stack.pop_all())
        return answer, pod


async def _first_message(socket: web.WebSocketResponse) -> bytes:
    """Return the offer. Raises RequestRefusedError (400) when there is none."""
    try:
        message = await socket.receive(CONNECT_SECONDS)
    except TimeoutError as error:
        raise RequestRefusedError(bad_request(f"No offer came within {CONNECT_SECONDS:g} s.", None)) from error
    if message.type is not WSMsgType.TEXT:
        raise RequestRefusedError(bad_request("The first message must be an offer, as JSON.", None))
    return str(message.data).encode()
