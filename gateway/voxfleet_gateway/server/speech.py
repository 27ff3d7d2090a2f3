"""POST /v1/audio/speech: read, check, place, send; again elsewhere while nothing has been sent.

Knows: the order of the steps. Does not know: how any one of them is done.
"""

import asyncio
import re
from dataclasses import dataclass

from aiohttp import web

from voxfleet_gateway.decisions.client_location import LOCATION_HEADER, client_location, is_trusted
from voxfleet_gateway.decisions.retry_policy import RetryBudget, may_retry
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.dispatch.dispatcher import Dispatcher, Target
from voxfleet_gateway.errors import Refusal, RequestRefusedError, UpstreamFailedError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, Registry
from voxfleet_gateway.server.event_stream import KEEP_ALIVE_SECONDS, EventStream
from voxfleet_gateway.server.proxy import Proxy, UpstreamAnsweredError
from voxfleet_gateway.server.request_context import CONTEXT
from voxfleet_gateway.server.responses import no_pod_answered, unknown_model
from voxfleet_gateway.server.speech_request import SpeechRequest, check_speech, parse_model_name
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import RETRIES, UPSTREAM_FAILURES

SPEECH_PATH = "/v1/audio/speech"
COUNTRY_HEADER = "Voxfleet-Client-Country"
BODY_SECONDS = 30.0  # a client that takes longer to send its request is given up

PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")


@dataclass(slots=True)
class Speech:
    """The handler and what it works with."""

    settings: Settings
    fleet: Fleet
    dispatcher: Dispatcher
    proxy: Proxy
    budget: RetryBudget
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        context = request[CONTEXT]
        body = await _read(request)
        name, fields = parse_model_name(body)
        model = known_model(self.fleet.registry(), name)
        speech = check_speech(name, fields, body)
        context.model, context.input_characters = name, speech.input_characters
        self.budget.earn()
        if not speech.wants_events:
            return await self._send(request, speech, model, self.settings.hold_seconds)
        events = EventStream(request, context, self.keep_alive_seconds)
        return await events.kept_alive(self._send(request, speech, model, model.gateway.hold_seconds, events))

    async def _send(
        self,
        request: web.Request,
        speech: SpeechRequest,
        model: ModelEntry,
        default_hold_seconds: float,
        events: EventStream | None = None,
    ) -> web.StreamResponse:
        route_request, context = self.route_request(request), request[CONTEXT]
        ticket = self.dispatcher.hold_queues.ticket(hold_seconds(request, model, default_hold_seconds))
        retries = 0
        while True:
            target = await self.dispatcher.find(speech.model, route_request, ticket, context)
            try:
                return await self._attempt(request, speech, target, events)
            except UpstreamFailedError as failed:
                UPSTREAM_FAILURES.labels(failed.failure).inc()
                self.fleet.quarantine(target.key, target.pod)
                if not may_retry(failed.failure, retries, self.budget, first_byte_sent=context.bytes_sent > 0):
                    return _given_up(failed, target)
                retries += 1
                RETRIES.labels(failed.failure).inc()

    async def _attempt(
        self, request: web.Request, speech: SpeechRequest, target: Target, events: EventStream | None
    ) -> web.StreamResponse:
        context = request[CONTEXT]
        context.attempts += 1
        body = speech.body_for(target.model.model)
        with self.fleet.sending(target.key, target.pod):
            self.dispatcher.on_demand(target.key)
            return await self.proxy.attempt(request, target.pod.address.url(SPEECH_PATH), body, context, events)

    def route_request(self, request: web.Request) -> RouteRequest:
        """Where the client is, as far as a trusted proxy has said."""
        trusted = self.settings.trusted_networks
        location = client_location(request.headers.get(LOCATION_HEADER), request.remote, trusted)
        country = request.headers.get(COUNTRY_HEADER) if is_trusted(request.remote, trusted) else None
        return RouteRequest(self.settings.region, location, country)


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        message = f"The request's body did not arrive within {BODY_SECONDS:.0f} s."
        raise RequestRefusedError(Refusal(408, "request_timeout", message)) from error


def known_model(registry: Registry, name: str) -> ModelEntry:
    """The model that answers to this name; raises RequestRefusedError when none does."""
    model = registry.resolve(name)
    if model is None:
        raise RequestRefusedError(unknown_model(name, registry.names()))
    return model


def hold_seconds(request: web.Request, model: ModelEntry, default_seconds: float) -> float:
    """How long the request may wait: its own `Prefer: wait=N`, else the default, never beyond the model's bound."""
    preferred = PREFER_WAIT.search(request.headers.get("Prefer", ""))
    wanted = float(preferred.group(1)) if preferred else default_seconds
    return min(wanted, model.gateway.hold_seconds)


def _given_up(failed: UpstreamFailedError, target: Target) -> web.Response:
    """The pod's own error where there is one, else 503: nothing was spoken, so asking again is safe."""
    if isinstance(failed, UpstreamAnsweredError):
        return failed.response()
    raise RequestRefusedError(no_pod_answered(target.key.region, failed.failure.value)) from failed
