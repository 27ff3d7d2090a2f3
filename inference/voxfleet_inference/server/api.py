"""The API of port 6006: speech, models, health and the page.

Knows: FastAPI, paths, middleware, and which response each error becomes.
Does not know: how speech is made, or how its bytes are sent.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from voxfleet_protocols import catalog

from voxfleet_inference import __version__
from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.admission.middleware import ApiKeyMiddleware, OriginMiddleware
from voxfleet_inference.errors import ApiError
from voxfleet_inference.logs import RequestLog
from voxfleet_inference.origins import parse_origins
from voxfleet_inference.requests import SpeechRequest, check_model, parse_speech_request
from voxfleet_inference.server.api_document import describe
from voxfleet_inference.server.catalog.consent_routes import add_consents
from voxfleet_inference.server.catalog.model_routes import add_models
from voxfleet_inference.server.catalog.voice_routes import add_voices
from voxfleet_inference.server.engine_supervisor import EngineSupervisor
from voxfleet_inference.server.live.routes import add_live_speech
from voxfleet_inference.server.live.rtc.routes import add_rtc
from voxfleet_inference.server.page.routes import add_page
from voxfleet_inference.server.protocols.cartesia_routes import add_cartesia
from voxfleet_inference.server.protocols.deepgram_routes import add_deepgram
from voxfleet_inference.server.protocols.error_forms import ErrorFormMiddleware
from voxfleet_inference.server.request_body import read_body
from voxfleet_inference.server.responses.errors import error_response, http_error_response
from voxfleet_inference.server.responses.output_format import output_format
from voxfleet_inference.server.responses.sending import CLIENT_CLOSED_REQUEST
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_response import SpeechResponse

_BODY_SCHEMA: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": SpeechRequest.model_json_schema()}}}
}
# Response headers that a browser hides from another origin's script unless they are exposed (CORS).
_HEADERS_FOR_SCRIPTS: Final = (
    "Voxfleet-Seed",
    "Voxfleet-Sample-Rate",
    "Voxfleet-Truncated-Sentences",
    "X-Request-Id",
    "Retry-After",
    "X-Should-Retry",
    "Preference-Applied",
    "Location",
)


class _SlashMiddleware:
    """Answers a path with slashes at its end as the path without: a redirect would lose bodies and addresses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without them, in a copy of the scope."""
        is_routed = scope["type"] in {"http", "websocket"}
        await self._app({**scope, "path": scope["path"].rstrip("/") or "/"} if is_routed else scope, receive, send)


class _HeadMiddleware:
    """Answers HEAD on every path that has GET (RFC 9110, 9.3.2), which FastAPI's routes do not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HEAD on as GET, in a copy of the scope: uvicorn reads the original, and drops the body."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


def speech_app(service: SpeechService, api_keys: ApiKeys | None = None) -> FastAPI:
    """Return the application of the public port; without `api_keys` no request needs a key."""
    # Without FastAPI's own pages, which load scripts from a CDN.
    title = "VoxFleet speech server"
    app = FastAPI(title=title, version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    _add_middleware(app, service, api_keys)
    app.add_exception_handler(ApiError, _api_error_response)
    app.add_exception_handler(HTTPException, _http_error_response)
    app.add_exception_handler(ClientDisconnect, _disconnect_response)

    async def read(request: Request) -> bytes:
        return await read_body(request, service.settings.max_body_bytes)

    _add_speech(app, service)
    add_models(app, service)
    add_live_speech(app, service)
    app.state.rtc = add_rtc(app, service)
    add_voices(app, service, read)
    add_consents(app, service, read)
    add_deepgram(app, service, read)
    add_cartesia(app, service, read)
    _add_health(app, service.supervisor)
    add_page(app, service.settings.max_input_characters)
    describe(app, service.settings)  # last, because it reads the routes
    return app


def _add_middleware(app: FastAPI, service: SpeechService, api_keys: ApiKeys | None) -> None:
    """Add what a request passes before its handler; the innermost comes first."""
    allowed = parse_origins(service.settings.allowed_origins)
    rejected = service.tracker.rejected
    app.add_middleware(_SlashMiddleware)
    app.add_middleware(_HeadMiddleware)
    app.add_middleware(
        ApiKeyMiddleware,
        api_keys=api_keys,
        on_rejection=rejected,
        trusts_gateway=service.settings.trust_gateway_headers,
        has_public_catalog=service.settings.public_catalog,
    )
    if allowed:
        # Outside of the keys: a browser sends its preflight request without Authorization.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,  # an allowed public website may use a server on a private address
            expose_headers=_HEADERS_FOR_SCRIPTS,
        )
    app.add_middleware(OriginMiddleware, allowed_origins=allowed, on_rejection=rejected)
    app.add_middleware(ErrorFormMiddleware)
    app.add_middleware(RequestLog)  # outermost, so that rejections get their id and log line too


def _add_speech(app: FastAPI, service: SpeechService) -> None:
    @app.post("/v1/audio/speech", openapi_extra=_BODY_SCHEMA, response_class=Response)
    async def speech(request: Request) -> Response:
        """Speak a text; the audio is streamed while it is made."""
        received_at = time.monotonic()
        try:
            return await respond(request, received_at)
        except ApiError as rejected:
            service.tracker.rejected(rejected.status)
            raise

    async def respond(request: Request, received_at: float) -> SpeechResponse:
        settings = service.settings
        body = await read_body(request, settings.max_body_bytes)
        speech_request = parse_speech_request(body, settings.max_input_characters)
        check_model(speech_request.model, settings.model_names)
        service.supervisor.check_ready()
        output = output_format(speech_request, service.supervisor.model_info.sample_rate)
        return SpeechResponse(service, speech_request, output, received_at)


def _add_health(app: FastAPI, supervisor: EngineSupervisor) -> None:
    @app.get("/health", response_class=PlainTextResponse)
    async def health() -> PlainTextResponse:
        """OK while new requests are admitted, as clients of Speaches and vLLM ask; probes use the two paths below."""
        lifecycle = supervisor.lifecycle
        return PlainTextResponse("OK") if lifecycle.is_ready else PlainTextResponse(lifecycle.state, 503)

    @app.get("/v1")
    async def root() -> dict[str, Any]:
        """What is here; clients open their connection with it before the first request."""
        return {**catalog.api_root(), "schema": "/openapi.json"}

    @app.get("/health/live")
    async def live() -> JSONResponse:
        """200 unless this process should be killed: its engine has failed for good, or is stalled."""
        liveness_error = supervisor.liveness_error(time.monotonic())
        state = {"state": supervisor.lifecycle.state}
        return JSONResponse({**state, "message": liveness_error}, 503) if liveness_error else JSONResponse(state)

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        """200 while new requests are admitted."""
        lifecycle = supervisor.lifecycle
        body = {"state": lifecycle.state, "message": lifecycle.message}
        return JSONResponse(body, 200 if lifecycle.is_ready else 503)


async def _api_error_response(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for nothing else
    return error_response(error)


async def _http_error_response(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return http_error_response(error, request.method, request.url.path, _methods(request))


def _methods(request: Request) -> set[str]:
    """Return the methods that the request's path has."""
    routes = (each for each in request.app.routes if isinstance(each, Route))
    matching = (each.methods or () for each in routes if each.matches(request.scope)[0] is not Match.NONE)
    methods = {method for each in matching for method in each}
    return methods | ({"HEAD"} if "GET" in methods else set())


async def _disconnect_response(_request: Request, _error: Exception) -> Response:
    """Return an empty response for a client that disconnected while sending its body; no error is logged."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)
