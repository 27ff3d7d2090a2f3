"""The path of sessions.

Knows: FastAPI, and that a server which is not ready refuses a session before it opens, as it would a request.
Does not know: what is said in a session.
"""

from __future__ import annotations

import uuid
from typing import Final

import structlog
from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from voxfleet_inference.admission.subprotocols import taken
from voxfleet_inference.errors import UnavailableError
from voxfleet_inference.server.live.session import Session
from voxfleet_inference.server.service import SpeechService

PATH: Final = "/v1/audio/speech/stream"


def add_live_speech(app: FastAPI, service: SpeechService) -> None:
    """Offer sessions."""

    @app.get(PATH, include_in_schema=False)
    async def no_socket() -> None:
        """For who asks without an upgrade, as browsers and curl do."""
        message = "sessions speak WebSocket; see docs/inference-server.md, or POST /v1/audio/speech"
        raise HTTPException(426, message, {"Upgrade": "websocket", "Connection": "Upgrade"})

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        try:
            service.check_ready()
        except UnavailableError as refused:
            service.tracker.refused(refused.status)
            await socket.send_denial_response(JSONResponse(refused.body, refused.status, refused.headers))
            return
        session_id = uuid.uuid4().hex
        await socket.accept(taken(socket.scope["subprotocols"]), [(b"x-request-id", session_id.encode())])
        with structlog.contextvars.bound_contextvars(request_id=session_id):
            await Session(service, socket, session_id).run()
