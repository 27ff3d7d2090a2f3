"""POST /internal/handover: a request that another gateway of the region held and can hold no longer.

Knows: that the sender needs the gateways' token, and the headers in which that gateway passes on what it knows.
Does not know: the client, whose connection stays there; how requests are held and served.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

import structlog
from aiohttp import web
from multidict import CIMultiDictProxy

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.client_location import COUNTRY_HEADER, LOCATION_HEADER, given_place
from voxfleet_gateway.decisions.location.client_place import place_by_headers
from voxfleet_gateway.dispatch.handover import HOLD_HEADER, MODEL_HEADER
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.peers.headers import HOPS_HEADER, PRIORITY_HEADER, TENANT_HEADER
from voxfleet_gateway.refusals import bad_request
from voxfleet_gateway.request_context import REQUEST_ID_HEADER, new_context
from voxfleet_gateway.server.middleware import CONTEXT, count_refusals
from voxfleet_gateway.server.requests.request_body import read_body
from voxfleet_gateway.server.requests.speech_request import check_speech, parse_model_name
from voxfleet_gateway.server.responses import refuse
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import HANDOVERS, HELD
from voxfleet_gateway.tokens import bearer_matches, gateway_token

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HandoverHandler:
    """The handler."""

    settings: Settings
    speech: Speech

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Hold and serve the request, and log this gateway's decision about it; it is not handed over a second time."""
        given_id = request.headers.get(REQUEST_ID_HEADER, "")
        context = request[CONTEXT] = new_context(given_id, request.method, request.path, self.settings.region)
        context.is_handed_over = True
        try:
            response = await self._respond(request)
            context.status = response.status
        except RequestRefusedError as refused:
            response = refuse(context, refused.refusal)
            context.status = response.status
        finally:
            count_refusals(context)  # the other gateway passes it on like a pod's, and counts the request alone
            if context.key is not None and context.held_seconds > 0:
                HELD.labels(*context.key.labels).observe(context.held_seconds)
            log.info("request", **context.log_fields())
        return response

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        key = self.settings.internal_key.get_secret_value()
        if not bearer_matches(request.headers.get("Authorization"), gateway_token(key)):
            message = "A valid bearer token is required."
            raise RequestRefusedError(Refusal(HTTPStatus.UNAUTHORIZED, "invalid_token", message))
        HANDOVERS.labels("received").inc()
        context, headers = request[CONTEXT], request.headers
        context.caller = _caller(headers, self.settings)
        given = given_place(headers.getall(LOCATION_HEADER, []), headers.getall(COUNTRY_HEADER, []))
        context.client = place_by_headers(None, *given)  # as the other gateway has found it
        context.model = headers.get(MODEL_HEADER, "")
        context.is_spilled = headers.get(HOPS_HEADER) == "1"  # to the gateway that held it
        with self.speech.bodies.reserve() as reservation:
            with context.waiting():
                body = await read_body(request, reservation, context.caller.max_body_bytes)
            speech = check_speech(*parse_model_name(body), body)
            del body  # the request keeps one copy, until the other gateway has the first byte of the response
            speech.body.on_release = reservation.shrink
            context.input_characters = speech.input_characters
            await self.speech.check_voice(speech.voice, context)  # the pod fetches it by a token of this gateway
            ticket = self.speech.dispatcher.hold_queues.new_ticket(
                _number(headers, HOLD_HEADER), context.caller.tenant, speech.audio_seconds, len(speech.body)
            )
            # Without comments of its own: the other gateway keeps its client's stream of events open.
            asked = replace(self.speech.route_request(request), hops_left=0 if context.is_spilled else 1)
            return await self.speech.serve(request, speech, ticket, asked)


def _caller(headers: CIMultiDictProxy[str], settings: Settings) -> Caller:
    """Return the caller that the other gateway has authenticated, whose rights it has checked, and which it bills."""
    return Caller(
        headers.get(TENANT_HEADER, ""),
        int(_number(headers, PRIORITY_HEADER)),
        max_body_bytes=settings.max_body_bytes,
        peer_region=settings.region,
    )


def _number(headers: CIMultiDictProxy[str], name: str) -> float:
    given = headers.get(name, "")
    try:
        return max(-1e6, min(1e6, float(given)))
    except ValueError as error:
        raise RequestRefusedError(bad_request(f"'{name}' must be a number, not {given!r:.80}.", None)) from error
