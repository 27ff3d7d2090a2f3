"""What surrounds every handler of the API: request context, error responses, common headers, metric, log line.

Knows: the order of these. Does not know: paths, handlers.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from voxfleet_protocols import cartesia
from voxfleet_protocols.deepgram import PATH as SPEAK_PATH

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import internal_error, no_method, no_route
from voxfleet_gateway.request_context import REQUEST_ID_HEADER, RequestContext, new_context
from voxfleet_gateway.server.health import HEALTH_PATHS, Health
from voxfleet_gateway.server.paths import canonical
from voxfleet_gateway.server.requests.authentication import SPILLED, authenticate, needs_admission
from voxfleet_gateway.server.requests.cross_origin import page_headers, preflight_headers
from voxfleet_gateway.server.requests.head_checks import refusal_of_head
from voxfleet_gateway.server.requests.origins import parse_origins
from voxfleet_gateway.server.responses import refuse, use_client_form
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import HELD, REFUSALS, REQUESTS, SPILLS_RECEIVED

SPEECH_PATH = "/v1/audio/speech"
STREAM_PATH = "/v1/audio/speech/stream"
RTC_PATH = "/v1/audio/speech/rtc"
# Without Cartesia's socket, whose contexts are the requests.
SPEECH_REQUESTS = frozenset(
    {
        ("POST", SPEECH_PATH), ("GET", STREAM_PATH), ("POST", SPEAK_PATH), ("GET", SPEAK_PATH),
        ("POST", cartesia.BYTES_PATH), ("POST", RTC_PATH),
    }
)  # fmt: skip
CLIENT_LEFT = 499  # nginx's status for a client that closed the connection; only in logs and metrics
CONTEXT = web.RequestKey("context", RequestContext)  # request[CONTEXT], set before any handler runs

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestMiddleware:
    """Wraps every handler."""

    settings: Settings
    health: Health
    accounts: Accounts
    locate: Callable[[web.Request], ClientPlace] = lambda _: UNKNOWN  # called once in a request

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count and log the request, also when it fails or the client leaves."""
        given_id = request.headers.get(REQUEST_ID_HEADER, "")
        path = canonical(request.path)
        context = request[CONTEXT] = new_context(given_id, request.method, path, self.settings.region)
        if path not in HEALTH_PATHS:
            context.client = self.locate(request)
        context.is_speech = (request.method, path) in SPEECH_REQUESTS
        if (spilled := request.get(SPILLED)) is not None:
            context.is_spilled, context.may_hold, context.asked_model = True, spilled.may_hold, spilled.model
        try:
            response = await self._respond(request, handler, context)
            context.status = context.status or response.status  # a session has its own, after 101
        except asyncio.CancelledError:
            context.status = CLIENT_LEFT
            raise
        finally:
            if not context.outlives_response:
                account(context, self.accounts)
        return response

    async def _respond(self, request: web.Request, handler: Handler, context: RequestContext) -> web.StreamResponse:
        allowed = parse_origins(self.settings.allowed_origins)
        context.page_headers = page_headers(request.headers.get("Origin"), allowed)
        if (preflight := preflight_headers(request.method, request.headers, allowed)) is not None:
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=preflight | context.headers())
        refusal = refusal_of_head(request.method, request.version, request.headers, allowed)
        try:
            if refusal is not None:
                raise RequestRefusedError(refusal)  # noqa: TRY301  # written like every other refusal
            context.caller = await authenticate(request, self.accounts)
            with self.accounts.admitted(context) if needs_admission(request) else nullcontext():
                response = await handler(request)
        except RequestRefusedError as refused:
            response = refuse(context, refused.refusal)
        except web.HTTPException as refused:
            response = refuse(context, _refusal_of(refused, request))
        except Exception as error:
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                context.status = CLIENT_LEFT  # while the head of a response was sent, as of a handshake
                raise
            log.exception("request_failed", request_id=context.request_id)
            response = refuse(context, internal_error())
        if not response.prepared:  # the head of a streamed response was sent by its handler
            use_client_form(response, context)
            response.headers.update(context.headers())
            # Draining: the client's next request must reach another gateway. Refused: where it begins is uncertain.
            if self.health.is_draining or refusal is not None:
                response.force_close()
        return response


def account(context: RequestContext, accounts: Accounts) -> None:
    """Count and log a request, or a context of a socket, that has ended."""
    if context.path in HEALTH_PATHS:  # probes come every few seconds and would fill the log
        return
    if context.is_speech and context.is_spilled:
        SPILLS_RECEIVED.labels(context.caller.peer_region or "", str(context.status)).inc()
    elif context.is_speech:
        REQUESTS.labels(*context.labels, str(context.status), context.route).inc()
        count_refusals(context)
        accounts.finish(context)
    if context.key is not None and context.held_seconds > 0:
        HELD.labels(*context.key.labels).observe(context.held_seconds)
    log.info("request", **context.log_fields())


def count_refusals(context: RequestContext) -> None:
    """Count what was refused of a request whose region is known as well as it ever will be."""
    for code, times in context.refusals.items():
        REFUSALS.labels(*context.labels, code).inc(times)


def _refusal_of(error: web.HTTPException, request: web.Request) -> Refusal:
    """Return aiohttp's own error, as of its router or body reader, in OpenAI's form."""
    if error.status == HTTPStatus.NOT_FOUND:
        return no_route(request.method, request.path)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return no_method(request.method, request.path, error.allowed_methods)
    # Not the reason, which may be any text: codes are labels of a metric.
    code = HTTPStatus(error.status).phrase.lower().replace(" ", "_")
    return Refusal(error.status, code, error.text or error.reason)
