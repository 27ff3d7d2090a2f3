"""The ports for the cluster: 9091 with load, draining and voices for gateways and the operator, 9090 with metrics.

Knows: the contract of /internal/load, /internal/drain and /internal/voices, and the bearer token's SHA-256.
Does not know: how gateways route or when the operator drains.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import asdict
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxfleet_inference.server.catalog.internal_voices import Endpoint, internal_voice_routes
from voxfleet_inference.server.request_body import read_body
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.telemetry.start_up import NOT_STARTED
from voxfleet_inference.voices.file_format import MAX_FILE_BYTES


def internal_app(service: SpeechService) -> Starlette:
    """Return the application of the internal port."""
    supervisor, token_sha256 = service.supervisor, service.settings.internal_token_sha256

    def guard(handler: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            return _rejection(request, token_sha256) or await handler(request)

        return guarded

    async def load(_: Request) -> Response:
        return JSONResponse(load_row(service, time.monotonic()))

    async def drain(request: Request) -> Response:
        supervisor.drain(enabled=request.method == "POST")
        return JSONResponse({"state": supervisor.lifecycle.state, "open_requests": service.tracker.load.open_requests})

    return Starlette(
        routes=[
            *internal_voice_routes(service, lambda request: read_body(request, MAX_FILE_BYTES), guard),
            Route("/internal/load", guard(load), methods=["GET"]),
            Route("/internal/drain", guard(drain), methods=["POST", "DELETE"]),
        ]
    )


def metrics_app(registry: CollectorRegistry) -> Starlette:
    """Return the application of the metrics port."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics)])


def load_row(service: SpeechService, now: float) -> dict[str, Any]:
    """Return the body of GET /internal/load."""
    load, supervisor, gpu = service.tracker.load, service.supervisor, service.tracker.metrics.gpu.reading
    finished_at = load.last_request_finished_at
    return {
        "model": service.settings.model_name,
        "languages": [*supervisor.languages],  # gateways list them, also while no pod runs
        "state": supervisor.lifecycle.state,
        "message": supervisor.lifecycle.message,
        "open_requests": load.open_requests,
        "running_sequences": load.running_sequences,
        "waiting_sequences": load.waiting_sequences,
        "free_rows": load.free_rows(service.settings.max_batch_size),
        "queued_audio_seconds": round(load.queued_audio_seconds, 2),
        "audio_seconds_per_second": round(load.audio_seconds_per_second(now), 2),
        "step_seconds_p50": load.step_seconds_p50,
        "first_audio_seconds_p95": load.first_audio_seconds_p95,
        "last_request_finished_at": finished_at.isoformat().replace("+00:00", "Z") if finished_at else None,
        **(supervisor.start_up.report(now) if supervisor.start_up else NOT_STARTED),
        "gpu": asdict(gpu) if gpu else None,
    }


def _rejection(request: Request, token_sha256: str) -> Response | None:
    """Return 401 unless the bearer token is the configured one; without one, the port listens on loopback only."""
    # The operator of another cluster comes through the API server, which takes Authorization off.
    passed_on = f"Bearer {request.headers.get('voxfleet-internal-token', '')}"
    scheme, _, token = request.headers.get("authorization", passed_on).partition(" ")
    presented = hashlib.sha256(token.strip().encode()).hexdigest()
    if not token_sha256 or (scheme.lower() == "bearer" and hmac.compare_digest(presented, token_sha256)):
        return None
    body = {
        "error": {"message": "a bearer token is needed", "type": "authentication_error", "param": None, "code": None}
    }
    return JSONResponse(body, 401, {"WWW-Authenticate": "Bearer"})
