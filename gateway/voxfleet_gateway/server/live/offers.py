"""POST /v1/audio/speech/rtc: a WebRTC offer on its way to a pod, and the pod's answer to the client.

The offer is routed, held and tried again like a speech request. Its audio then goes between the client and the address
that the pod announces, past this gateway. A tenant's session is metered by its account at the pod (metered.py); one of
a request without a key, or in another region, is not.

Knows: which sessions this process has passed on, so that a DELETE reaches their pod.
Does not know: SDP, or what is sent over the connection.
"""

import time
from collections import OrderedDict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
from aiohttp import web
from voxfleet_protocols.ice_servers import parse_ice_servers

from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import no_pod_responded, session_not_found
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.metered import ACCOUNT_HEADER, MeteredSession, metered_session
from voxfleet_gateway.server.live.offer_body import Offer, parse_offer
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.middleware import CONTEXT, RTC_PATH
from voxfleet_gateway.server.requests.request_body import read_body
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds, named_voice
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.attempt import OFFER_ANSWERS, UpstreamStatusError, upstream_headers
from voxfleet_gateway.server.upstream.proxy import SentRequest
from voxfleet_gateway.server.upstream.retries import until_answered

MOST_SESSIONS = 4096  # whose targets are kept; a session that is forgotten ends with its connection
DELETE_SECONDS = 5.0


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
            model, voice = await self._checked(offer, context)
            return await self._dispatch(request, offer, model, voice)

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

    async def _dispatch(self, request: web.Request, offer: Offer, model: ModelEntry, voice: str) -> web.StreamResponse:
        """Find a pod and pass the offer on; again elsewhere while the client has no answer."""
        speech, context = self.speech, request[CONTEXT]
        wait_seconds = speech.hold_seconds(request, model, wants_events=False)
        audio_seconds = context.estimated_audio_seconds
        ticket = speech.dispatcher.hold_queues.new_ticket(wait_seconds, context.caller.tenant, audio_seconds, 0)
        route_request = speech.route_request(request)
        speech.budget.earn()

        async def attempt(target: Target) -> web.StreamResponse:
            left_seconds = ticket.deadline_seconds - time.monotonic()
            body = offer.named(target.model.model, voice)
            return await self._attempt(request, target, SentRequest(RTC_PATH, body, left_seconds, OFFER_ANSWERS))

        try:
            return await until_answered(
                lambda: speech.dispatcher.find_target(context.model, route_request, ticket, context),
                attempt,
                speech.budget,
                is_repeatable=lambda: context.bytes_sent == 0,
            )
        except UpstreamStatusError as failed:
            return failed.response()

    async def _attempt(self, request: web.Request, target: Target, sent: SentRequest) -> web.StreamResponse:
        context = request[CONTEXT]
        context.attempts += 1
        async with AsyncExitStack() as until_ended:
            # The session outlasts it; one without an account is in its pod's load report alone.
            until_ended.enter_context(target.sending(is_measured=False))
            metered = await self._metered(target, context, until_ended)
            response = await self.speech.proxy.attempt(request, target, sent, context)
            if response.status == HTTPStatus.CREATED:
                self._keep(response.headers.get("Location", "").rpartition("/")[2], target, context)
                if metered is not None:
                    self._begin(metered, until_ended.pop_all())
        return response

    async def _metered(
        self, target: Target, context: RequestContext, until_ended: AsyncExitStack
    ) -> MeteredSession | None:
        """Open the account of a tenant's session; None for one that needs none. Raises RequestRefusedError (501)."""
        accounts = self.speech.accounts
        context.pod_headers.pop(ACCOUNT_HEADER, None)  # of an earlier attempt
        if not accounts.has_account(context.caller):
            return None
        if not target.is_here and not accounts.limits_passing_audio(context.caller):
            return None  # a gateway of another region has no way to its pod's account: reported by the estimate
        opening = metered_session(target, self.speech.proxy.session, accounts, context)
        metered = await until_ended.enter_async_context(opening)
        context.pod_headers[ACCOUNT_HEADER] = metered.account_id
        return metered

    def _begin(self, metered: MeteredSession, until_ended: AsyncExitStack) -> None:
        self.live.sessions.add(metered)
        until_ended.callback(self.live.sessions.discard, metered)
        metered.begin(until_ended)

    def _keep(self, session_id: str, target: Target, context: RequestContext) -> None:
        context.has_direct_audio = True
        self.targets[session_id] = (context.caller.tenant, target)
        if len(self.targets) > MOST_SESSIONS:
            self.targets.popitem(last=False)
