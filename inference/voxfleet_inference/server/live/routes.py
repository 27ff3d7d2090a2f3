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
from voxfleet_protocols.subprotocols import taken

from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.errors import UnavailableError
from voxfleet_inference.server.live.session import Session
from voxfleet_inference.server.live.upgrade import add_upgrade_required
from voxfleet_inference.server.live.websocket import FrameSocket
from voxfleet_inference.server.protocols.by_first_message import TransportByFirstMessage
from voxfleet_inference.server.responses.errors import error_response
from voxfleet_inference.server.service import SpeechService

PATH: Final = "/v1/audio/speech/stream"


def add_live_speech(app: FastAPI, service: SpeechService) -> None:
    """Add the WebSocket route, and the error for requests without an upgrade."""
    add_upgrade_required(app, PATH)

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        try:
            service.supervisor.check_ready()
        except UnavailableError as rejected:
            service.tracker.rejected(rejected.status)
            await socket.send_denial_response(error_response(rejected))
            return
        session_id = uuid.uuid4().hex
        await socket.accept(taken(socket.scope["subprotocols"]), [(b"x-request-id", session_id.encode())])
        frames = FrameSocket(socket, service.settings.slow_client_seconds)
        transport = TransportByFirstMessage(frames, service.settings.model_names[0])
        with structlog.contextvars.bound_contextvars(request_id=session_id):
            await Session(service, transport, caller_of(socket.scope), session_id).run()
