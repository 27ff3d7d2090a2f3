"""POST /v1/audio/speech: read, check, dispatch, send; again to another pod while no byte has been sent to the client.

Knows: the order of the steps. Does not know: how any of them is done.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.hold.deadlines import hold_seconds
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.pods.retry_policy import RetryBudget
from voxfleet_gateway.decisions.recent_models import RecentModels
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.decisions.voice_names import AmbiguousVoice, UnknownVoice, is_voice_id, resolve_voice
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.dispatch.target import Target
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import (
    ambiguous_voice,
    unknown_voice_name,
    unusable_voice,
    voice_of_request_not_found,
)
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.middleware import CONTEXT, SPEECH_PATH
from voxfleet_gateway.server.requests.authentication import SPILLED
from voxfleet_gateway.server.requests.request_body import BodyBudget, read_body
from voxfleet_gateway.server.requests.speech_request import SpeechRequest, check_speech, parse_model_name
from voxfleet_gateway.server.upstream.attempt import UpstreamStatusError
from voxfleet_gateway.server.upstream.event_stream import KEEP_ALIVE_SECONDS, EventStream
from voxfleet_gateway.server.upstream.proxy import Proxy, SentRequest
from voxfleet_gateway.server.upstream.retries import until_answered
from voxfleet_gateway.server.voices.storage import on_disk
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.tokens import voice_token
from voxfleet_gateway.voices.file_format import Check
from voxfleet_gateway.voices.repository import VoiceRepository

VOICE_HEADER = "Voxfleet-Voice-Token"
VOICE_TOKEN_SECONDS = 3600  # longer than a request is held and waits at its pod


@dataclass(slots=True)
class Speech:
    """The handler."""

    settings: Settings
    dispatcher: Dispatcher
    proxy: Proxy
    budget: RetryBudget
    bodies: BodyBudget
    accounts: Accounts
    recent: RecentModels = field(default_factory=RecentModels)
    voices: VoiceRepository | None = None
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        return await self.respond_to(request, lambda body: body)

    async def respond_to(self, request: web.Request, translate: Callable[[bytes], bytes]) -> web.StreamResponse:
        """Serve one request; `translate` makes the body of /v1/audio/speech from what another protocol sends."""
        context = request[CONTEXT]
        with self.bodies.reserve() as reservation:
            with context.waiting():
                body = translate(await read_body(request, reservation, context.caller.max_body_bytes))
            speech, model = self._check(body, context)
            speech = speech.naming(model.model, await self.voice_of(speech.voice, model, context))
            reservation.grow(max(0, len(speech.body) - len(body)))
            del body  # the request keeps one copy, until its client has the first byte of the response
            speech.body.on_release = reservation.shrink
            return await self._respond(request, speech, model)

    async def voice_of(self, requested: str, model: ModelEntry, context: RequestContext) -> str:
        """Return the built-in voice or the id that the request's voice means for this model and caller.

        Without a folder for voices here, a name that the resource does not know is left to the pod, which may have it.
        Raises RequestRefusedError (400), which lists the names that there are.
        """
        index, tenant = self.voices.index if self.voices is not None else None, context.caller.tenant
        voice = resolve_voice(requested, model.voices, lambda name: index.ids_of(tenant, name) if index else ())
        if isinstance(voice, UnknownVoice) and index is None:
            voice = requested
        if isinstance(voice, UnknownVoice):
            stored = [each.name for each in index.of_tenant(tenant)] if index is not None else []
            raise RequestRefusedError(unknown_voice_name(requested, [*model.voices, *stored]))
        if isinstance(voice, AmbiguousVoice):
            raise RequestRefusedError(ambiguous_voice(requested, voice.ids))
        await self.check_voice(voice, context)
        return voice

    async def check_voice(self, voice: str, context: RequestContext) -> None:
        """Check that the caller has the stored voice, and let the pod fetch it. Raises RequestRefusedError."""
        if self.voices is None:
            return
        tenant = context.caller.tenant
        if is_voice_id(voice):
            found = await on_disk(self.voices.find(tenant, voice))
            if found is None:
                raise RequestRefusedError(voice_of_request_not_found(voice))
            if found.check is Check.FAILED:
                raise RequestRefusedError(unusable_voice("voice", found.reason))
        # Also for an alias, which a pod may know as that of a stored voice.
        key, expires_seconds = self.settings.internal_key.get_secret_value(), int(time.time() + VOICE_TOKEN_SECONDS)
        context.pod_headers[VOICE_HEADER] = voice_token(key, tenant, expires_seconds)

    def _check(self, body: bytes, context: RequestContext) -> tuple[SpeechRequest, ModelEntry]:
        """Return the checked request and its model; the parsed JSON ends with this call."""
        name, fields = parse_model_name(body)
        name = context.asked_model or name
        # Before the other fields: 404 for an unknown model is more useful than 400 for its parameters.
        model = self.dispatcher.model(name, context.caller)
        context.model_ref = (model.namespace, model.name)
        self.recent.record(context.caller.tenant, model.full_name)
        speech = check_speech(name, fields, body)
        context.model, context.input_characters = name, speech.input_characters
        context.response_format = speech.response_format
        self.accounts.charge_audio(context, speech.audio_seconds)
        return speech, model

    async def _respond(self, request: web.Request, speech: SpeechRequest, model: ModelEntry) -> web.StreamResponse:
        context = request[CONTEXT]
        self.budget.earn()
        if not speech.wants_events or context.is_spilled:  # the other gateway keeps its client's stream open
            return await self._send(request, speech, model)
        events = EventStream(request, context, self.keep_alive_seconds)
        return await events.run(self._send(request, speech, model, events))

    async def _send(
        self,
        request: web.Request,
        speech: SpeechRequest,
        model: ModelEntry,
        events: EventStream | None = None,
    ) -> web.StreamResponse:
        context = request[CONTEXT]
        wait_seconds = self.hold_seconds(request, model, wants_events=speech.wants_events)
        ticket = self.dispatcher.hold_queues.new_ticket(
            wait_seconds, context.caller.tenant, speech.audio_seconds, len(speech.body)
        )
        context.may_be_handed_over = True
        return await self.serve(request, speech, ticket, self.route_request(request), events)

    async def serve(
        self,
        request: web.Request,
        speech: SpeechRequest,
        ticket: Ticket,
        route_request: RouteRequest,
        events: EventStream | None = None,
    ) -> web.StreamResponse:
        """Find a target and send, again while that is allowed, until the ticket's deadline."""
        context = request[CONTEXT]
        try:
            return await until_answered(
                lambda: self.dispatcher.find_target(context.model, route_request, ticket, context),
                lambda target: self._attempt(request, speech, target, ticket, events),
                self.budget,
                is_repeatable=lambda: context.bytes_sent == 0,
            )
        except UpstreamStatusError as failed:
            return failed.response()

    async def _attempt(
        self, request: web.Request, speech: SpeechRequest, target: Target, ticket: Ticket, events: EventStream | None
    ) -> web.StreamResponse:
        context = request[CONTEXT]
        context.attempts += 1
        body = speech.naming(target.model.model).body
        sent = SentRequest(SPEECH_PATH, body, ticket.deadline_seconds - time.monotonic())
        with target.sending():
            return await self.proxy.attempt(request, target, sent, context, events)

    def hold_seconds(self, request: web.Request, model: ModelEntry, *, wants_events: bool) -> float:
        """Return how long the request may be held, by the gateway that spilled it, its headers or its key."""
        if (spilled := request.get(SPILLED)) is not None:
            return float(min(spilled.deadline_seconds, model.gateway.hold_seconds))
        of_key = request[CONTEXT].caller.hold_seconds
        return hold_seconds(
            request.headers,
            wants_events=wants_events,
            default_seconds=self.settings.hold_seconds if of_key is None else of_key,
            most_seconds=model.gateway.hold_seconds,
        )

    def route_request(self, request: web.Request) -> RouteRequest:
        """Return what routing needs of the request."""
        context = request[CONTEXT]
        place, tenant = context.client, context.caller.tenant
        if (spilled := request.get(SPILLED)) is not None:
            return RouteRequest(self.settings.region, spilled.location, spilled.country, tenant=tenant, hops_left=0)
        return RouteRequest(self.settings.region, place.location, place.country, tenant=tenant)
