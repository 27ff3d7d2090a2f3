"""POST /v1/audio/speech/rtc: a WebRTC offer on its way to a pod, and the pod's answer to the client.

The offer is routed, held and tried again like a speech request. Its audio then goes between the client and the address
that the pod announces, past this gateway. A tenant's session is metered by its account at the pod (metered.py), in
another region by that region's gateway (spilled.py); one of a request without a key is not.

Knows: which sessions this process has passed on, so that a DELETE reaches their pod.
Does not know: SDP, or what is sent over the connection.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import aiohttp
from aiohttp import web
from voxfleet_protocols.ice_servers import parse_ice_servers

from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import direct_audio_not_metered, no_pod_responded, session_not_found
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.live.rtc.metered import ACCOUNT_HEADER, MeteredSession, pod_account
from voxfleet_gateway.server.live.rtc.offer_body import Offer, parse_offer
from voxfleet_gateway.server.live.rtc.spilled import spilled_offer
from voxfleet_gateway.server.middleware import CONTEXT, RTC_PATH
from voxfleet_gateway.server.requests.request_body import read_body
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds, named_voice
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.attempt import OFFER_ANSWERS, UpstreamStatusError, upstream_headers
from voxfleet_gateway.server.upstream.proxy import SentRequest
from voxfleet_gateway.server.upstream.retries import until_answered

MOST_SESSIONS = 4096  # whose targets are kept; a session that is forgotten ends with its connection
DELETE_SECONDS = 5.0
Result = TypeVar("Result")


@dataclass(slots=True)
class Offers:
    """The handlers."""

    speech: Speech
    live: Live  # whose sessions end with the gateway, and with their key
    targets: OrderedDict[str, tuple[str, Target]] = field(default_factory=OrderedDict)  # tenant and target, by session

    async def offered(self, _request: web.Request) -> web.Response:
        """Respond to GET: offers are taken here; whether the model's servers answer them is what an offer shows."""
        ice_servers = parse_ice_servers(self.speech.settings.rtc_ice_servers)
        return web.json_response({"object": "rtc", "channel": "voxfleet", "ice_servers": ice_servers})

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Pass one offer on, and the answer back."""
        context = request[CONTEXT]
        with self.speech.bodies.reserve() as reservation:
            with context.waiting():
                body = await read_body(request, reservation, context.caller.max_body_bytes)
            media_type = request.headers.get("Content-Type", "")
            offer = parse_offer(body, media_type, context.asked_model or request.query.get("model", ""))
            try:
                return await self.dispatch(request, offer, lambda target, sent: self._attempt(request, target, sent))
            except UpstreamStatusError as failed:
                return failed.response()

    async def delete(self, request: web.Request) -> web.Response:
        """End a session at its pod; the client's closing of the connection ends it too."""
        context, session_id = request[CONTEXT], request.match_info["session"]
        tenant, target = self.targets.get(session_id, ("", None))
        if target is None or tenant != context.caller.tenant:
            raise RequestRefusedError(session_not_found(session_id))
        headers = upstream_headers(request.headers, context.request_id, target_headers(target, context))
        url = target.url(f"{RTC_PATH}/{quote(session_id, safe='')}")
        limits, session = aiohttp.ClientTimeout(total=DELETE_SECONDS), target.session(self.speech.proxy.session)
        try:
            async with session.delete(url, headers=headers, timeout=limits, allow_redirects=False) as ended:
                status = ended.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RequestRefusedError(no_pod_responded(target.key.region, repr(error)[:80])) from error
        match status:
            case HTTPStatus.NO_CONTENT:
                return web.Response(status=status)
            case HTTPStatus.NOT_FOUND:  # the pod has begun anew, or forgotten the session
                raise RequestRefusedError(session_not_found(session_id))
            case _:
                raise RequestRefusedError(no_pod_responded(target.key.region, f"status {status}"))

    async def dispatch(
        self, request: web.Request, offer: Offer, attempt: Callable[[Target, SentRequest], Awaitable[Result]]
    ) -> Result:
        """Find a pod and try it; again elsewhere while the client has no answer.

        Raises RequestRefusedError, or the UpstreamFailedError of a pod that has refused in its own words.
        """
        speech, context = self.speech, request[CONTEXT]
        model, voice = await self._checked(offer, context)
        wait_seconds = speech.hold_seconds(request, model, wants_events=False)
        audio_seconds = context.estimated_audio_seconds
        ticket = speech.dispatcher.hold_queues.new_ticket(wait_seconds, context.caller.tenant, audio_seconds, 0)
        route_request = speech.route_request(request)
        speech.budget.earn()

        async def attempt_at(target: Target) -> Result:
            context.attempts += 1
            left_seconds = ticket.deadline_seconds - time.monotonic()
            body = offer.named(target.model.model, voice)
            return await attempt(target, SentRequest(RTC_PATH, body, left_seconds, OFFER_ANSWERS))

        return await until_answered(
            lambda: speech.dispatcher.find_target(context.model, route_request, ticket, context),
            attempt_at,
            speech.budget,
            is_repeatable=lambda: context.bytes_sent == 0,
        )

    def keep(self, location: str, target: Target, context: RequestContext) -> None:
        """Remember where a session is, by its answer's Location, for its DELETE."""
        context.has_direct_audio = True
        self.targets[location.rpartition("/")[2]] = (context.caller.tenant, target)
        if len(self.targets) > MOST_SESSIONS:
            self.targets.popitem(last=False)

    async def _checked(self, offer: Offer, context: RequestContext) -> tuple[ModelEntry, str]:
        """Return the model and the voice, and charge the text. Raises RequestRefusedError."""
        speech, name, text = self.speech, context.asked_model or offer.start.model, offer.added_text
        model = speech.dispatcher.model(name, context.caller)
        context.model, context.model_ref = name, model.ref
        speech.recent.record(context.caller.tenant, model.full_name)
        voice = await speech.voice_of(named_voice(offer.start.fields), model, context)
        context.response_format, context.input_characters = "opus", len(text)
        speech.accounts.charge_audio(context, estimated_audio_seconds(text))
        return model, voice

    async def _attempt(self, request: web.Request, target: Target, sent: SentRequest) -> web.StreamResponse:
        context = request[CONTEXT]
        async with AsyncExitStack() as until_ended:
            # The session outlasts it; one without an account is in its pod's load report alone.
            until_ended.enter_context(target.sending(is_measured=False))
            response, metered = await self._sent(request, target, sent, until_ended)
            if response.status == HTTPStatus.CREATED:
                self.keep(response.headers.get("Location", ""), target, context)
                if metered is not None:
                    self._begin(metered, until_ended.pop_all())
        return response

    async def _sent(
        self, request: web.Request, target: Target, sent: SentRequest, until_ended: AsyncExitStack
    ) -> tuple[web.StreamResponse, MeteredSession | None]:
        """Send the offer, with an account for a tenant's; it is open until the stack is closed.

        Raises RequestRefusedError (501) for a tenant whose session could not be metered.
        """
        context, accounts, proxy = request[CONTEXT], self.speech.accounts, self.speech.proxy
        context.pod_headers.pop(ACCOUNT_HEADER, None)  # of an earlier attempt
        metered = None
        if not accounts.has_account(context.caller):
            pass
        elif target.is_here:
            opening = pod_account(target, proxy.session, context)
            socket, context.pod_headers[ACCOUNT_HEADER] = await until_ended.enter_async_context(opening)
            metered = MeteredSession(socket, accounts, context)
        elif spilled := await until_ended.enter_async_context(spilled_offer(request, target, proxy.session, sent)):
            return spilled.answer.response(), MeteredSession(spilled.socket, accounts, context)
        elif accounts.limits_passing_audio(context.caller):
            raise RequestRefusedError(direct_audio_not_metered())
        return await proxy.attempt(request, target, sent, context), metered

    def _begin(self, metered: MeteredSession, until_ended: AsyncExitStack) -> None:
        self.live.sessions.add(metered)
        until_ended.callback(self.live.sessions.discard, metered)
        metered.begin(until_ended)
