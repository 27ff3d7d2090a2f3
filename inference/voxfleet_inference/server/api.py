"""The API of port 6006: speech, models, health and the page.

Knows: FastAPI, paths, and how each error becomes an answer.
Does not know: what happens behind the service.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from voxfleet_inference.admission.api_key_middleware import ApiKeyMiddleware
from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.admission.origin_middleware import OriginMiddleware
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.errors import ApiError, BodyTooLargeError
from voxfleet_inference.logs import RequestLog
from voxfleet_inference.origins import parse_origins
from voxfleet_inference.requests import SpeechRequest, parse_speech_request, with_seed
from voxfleet_inference.server.api_document import describe
from voxfleet_inference.server.live.routes import add_live_speech
from voxfleet_inference.server.page.routes import add_page
from voxfleet_inference.server.responses.head_middleware import HeadMiddleware
from voxfleet_inference.server.responses.output_format import OutputFormat
from voxfleet_inference.server.responses.sending import CLIENT_CLOSED_REQUEST
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_response import SpeechResponse
from voxfleet_inference.server.voice_routes import add_voices

_BODY_SCHEMA: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": SpeechRequest.model_json_schema()}}}
}
# Those of an answer's headers that a browser would keep from another website's script, though it is allowed.
_HEADERS_FOR_SCRIPTS: Final = (
    "Voxfleet-Seed",
    "Voxfleet-Sample-Rate",
    "Voxfleet-Truncated-Sentences",
    "X-Request-Id",
    "Retry-After",
    "Preference-Applied",
)


def speech_app(service: SpeechService, api_keys: ApiKeys | None = None) -> FastAPI:
    """The application of the public port; without keys nobody is asked for one."""
    app = FastAPI(title="VoxFleet speech server", docs_url=None, redoc_url=None)
    _add_middleware(app, service, api_keys)
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    _add_speech(app, service)
    _add_models(app, service)
    add_live_speech(app, service)
    add_voices(app, service, lambda request: _body(request, service))
    _add_health(app, service)
    add_page(app, service.settings.model_name)
    describe(app, service.settings)
    return app


def _add_middleware(app: FastAPI, service: SpeechService, api_keys: ApiKeys | None) -> None:
    """What a request passes before it is looked at, the innermost first."""
    allowed = parse_origins(service.settings.allowed_origins)
    refused = service.tracker.refused
    app.add_middleware(HeadMiddleware)
    app.add_middleware(
        ApiKeyMiddleware, api_keys=api_keys, on_refusal=refused, trusts_gateway=service.settings.trust_gateway_headers
    )
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,  # a public website may be meant to use a server at home
            expose_headers=_HEADERS_FOR_SCRIPTS,
        )
    app.add_middleware(OriginMiddleware, allowed_origins=allowed, on_refusal=refused)
    app.add_middleware(RequestLog)


def _add_speech(app: FastAPI, service: SpeechService) -> None:
    @app.post("/v1/audio/speech", openapi_extra=_BODY_SCHEMA, response_class=Response)
    async def speech(request: Request) -> Response:
        """Speak a text; audio leaves as it is made."""
        received_at = time.monotonic()
        try:
            return await answer(request, received_at)
        except ApiError as refused:
            service.tracker.refused(refused.status)
            raise

    async def answer(request: Request, received_at: float) -> SpeechResponse:
        asked = parse_speech_request(await _body(request, service), service.settings.max_input_characters)
        service.check_model(asked.model)
        service.check_ready()
        audio_format = FORMATS[asked.response_format]
        rate = audio_format.rate_for(asked.sample_rate, service.loaded_model_info.sample_rate)
        output = OutputFormat(
            audio_format, rate, is_whole=not asked.stream, speed=asked.speed, is_events=asked.stream_format == "sse"
        )
        return SpeechResponse(service, with_seed(asked), output, received_at)


def _add_models(app: FastAPI, service: SpeechService) -> None:
    model = {"id": service.settings.model_name, "object": "model", "created": 0, "owned_by": "voxfleet"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model of this server."""
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The one model of this server, by its name."""
        service.check_model(name)
        return model


def _add_health(app: FastAPI, service: SpeechService) -> None:
    @app.get("/health/live")
    async def live() -> JSONResponse:
        """200 unless this process should be killed: its engine is gone for good, or does nothing though it should."""
        liveness_error = service.liveness_error()
        state = {"state": service.lifecycle.state}
        return JSONResponse({**state, "message": liveness_error}, 503) if liveness_error else JSONResponse(state)

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        """200 while new requests are welcome."""
        lifecycle = service.lifecycle
        body = {"state": lifecycle.state, "message": lifecycle.message}
        return JSONResponse(body, 200 if lifecycle.is_ready else 503)


async def _body(request: Request, service: SpeechService) -> bytes:
    """The body, refused as soon as it is larger than what is taken."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > service.settings.max_body_bytes:
            message = f"the body is larger than {service.settings.max_body_bytes} bytes"
            raise BodyTooLargeError(message, code="body_too_large")
    return bytes(received)


async def _answer_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for nothing else
    return JSONResponse(error.body, error.status, error.headers)


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    message = f"{request.method} {request.url.path}: {error.detail}"
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    return JSONResponse(body, error.status_code, error.headers)


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    """Whoever left before the request was whole is told nothing, and no error is logged."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)
