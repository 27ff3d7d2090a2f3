"""The ports that only the fleet talks to: 9091 for load, draining and voices, 9090 for metrics.

Knows: the contract of /internal/load and /internal/voices, and the bearer token's SHA-256.
Does not know: gateways or operators.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import asdict
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxfleet_inference.errors import ApiError, UnknownVoiceError
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.voices.file_format import serialize_voice


def internal_app(service: SpeechService) -> Starlette:
    """The application of the internal port."""

    async def load(request: Request) -> Response:
        return _refusal(request, service) or JSONResponse(load_row(service, time.monotonic()))

    async def drain(request: Request) -> Response:
        refusal = _refusal(request, service)
        if refusal is not None:
            return refusal
        service.drain(enabled=request.method == "POST")
        return JSONResponse({"state": service.lifecycle.state, "open_requests": service.load.open_requests})

    async def voice(request: Request) -> Response:
        return _refusal(request, service) or await _voice_file(request.path_params["voice_id"], service)

    return Starlette(
        routes=[
            Route("/internal/voices/{voice_id}", voice, methods=["GET"]),
            Route("/internal/load", load, methods=["GET"]),
            Route("/internal/drain", drain, methods=["POST", "DELETE"]),
        ]
    )


def metrics_app(service: SpeechService) -> Starlette:
    """The application of the metrics port."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics)])


def load_row(service: SpeechService, now: float) -> dict[str, Any]:
    """The answer of /internal/load."""
    load, lifecycle = service.load, service.lifecycle
    finished_at = load.last_request_finished_at
    return {
        "model": service.settings.model_name,
        "state": lifecycle.state,
        "message": lifecycle.message,
        "open_requests": load.open_requests,
        "running_sequences": load.running_sequences,
        "waiting_sequences": load.waiting_sequences,
        "free_rows": load.free_rows(service.settings.max_batch_size),
        "queued_audio_seconds": round(load.queued_audio_seconds, 2),
        "audio_seconds_per_second": round(load.audio_seconds_per_second(now), 2),
        "step_seconds_p50": load.step_seconds_p50,
        "first_audio_seconds_p95": load.first_audio_seconds_p95,
        "last_request_finished_at": finished_at.isoformat().replace("+00:00", "Z") if finished_at else None,
        "loaded_seconds": service.model_info.loaded_seconds if service.model_info else None,
        "warm_seconds": service.warm_seconds or None,
        "gpu": asdict(service.gpu) if service.gpu else None,
    }


async def _voice_file(voice_id: str, service: SpeechService) -> Response:
    """A voice that is kept here, as another server's `--voice-source` fetches it."""
    try:
        voice = await service.voices.repository.find_local(voice_id)
    except ApiError as error:
        return JSONResponse(error.body, error.status, error.headers)
    if voice is None:
        unknown = UnknownVoiceError("no such voice is kept here", param="voice_id", code="voice_not_found")
        return JSONResponse(unknown.body, unknown.status)
    return Response(serialize_voice(voice), media_type="application/octet-stream")


def _refusal(request: Request, service: SpeechService) -> Response | None:
    """None for who knows the token; without a configured one the port is bound to loopback only."""
    expected = service.settings.internal_token_sha256
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = hashlib.sha256(token.strip().encode()).hexdigest()
    if not expected or (scheme.lower() == "bearer" and hmac.compare_digest(presented, expected)):
        return None
    body = {
        "error": {"message": "a bearer token is needed", "type": "authentication_error", "param": None, "code": None}
    }
    return JSONResponse(body, 401, {"WWW-Authenticate": "Bearer"})
