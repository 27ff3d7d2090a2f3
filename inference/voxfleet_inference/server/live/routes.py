"""The route of sessions.

Knows: FastAPI, and that a server which is not ready rejects a session before the WebSocket opens, as it rejects a
request.
Does not know: what is sent in a session.
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
    """Add the WebSocket route, and the error for requests without an upgrade."""

    @app.get(PATH, include_in_schema=False)
    async def no_upgrade() -> None:
        """426 Upgrade Required (RFC 9110, 15.5.22), as browsers and curl get it."""
        message = "this path speaks WebSocket; see docs/speech-api.md, or POST /v1/audio/speech"
        raise HTTPException(426, message, {"Upgrade": "websocket", "Connection": "Upgrade"})

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        try:
            service.supervisor.check_ready()
        except UnavailableError as rejected:
            service.tracker.rejected(rejected.status)
            await socket.send_denial_response(JSONResponse(rejected.body, rejected.status, rejected.headers))
            return
        session_id = uuid.uuid4().hex
        await socket.accept(taken(socket.scope["subprotocols"]), [(b"x-request-id", session_id.encode())])
        with structlog.contextvars.bound_contextvars(request_id=session_id):
            await Session(service, socket, session_id).run()
