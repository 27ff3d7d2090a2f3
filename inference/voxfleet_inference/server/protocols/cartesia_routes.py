"""Cartesia's protocol: the WebSocket with several contexts, and the HTTP form.

Knows: FastAPI. Does not know: the protocol's messages and fields (voxfleet_protocols.cartesia), the form of its errors
(error_forms.py), or how text is spoken.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response, WebSocket
from voxfleet_protocols import cartesia
from voxfleet_protocols.subprotocols import taken
from voxfleet_protocols.translation import ServedModel

from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.errors import ApiError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.server.live.upgrade import add_upgrade_required
from voxfleet_inference.server.live.websocket import FrameSocket
from voxfleet_inference.server.protocols.contexts import ContextSocket
from voxfleet_inference.server.protocols.whole_text import speech_response
from voxfleet_inference.server.responses.errors import error_response
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_response import SpeechResponse

ReadBody = Callable[[Request], Awaitable[bytes]]


def add_cartesia(app: FastAPI, service: SpeechService, read_body: ReadBody) -> None:
    """Add both forms."""
    models = [ServedModel(service.settings.model_names)]
    add_upgrade_required(app, cartesia.SOCKET_PATH)

    @app.websocket(cartesia.SOCKET_PATH)
    async def contexts(socket: WebSocket) -> None:
        try:
            service.supervisor.check_ready()
        except ApiError as rejected:
            service.tracker.rejected(rejected.status)
            await socket.send_denial_response(error_response(rejected))
            return
        await socket.accept(taken(socket.scope["subprotocols"]), [(b"x-request-id", uuid.uuid4().hex.encode())])
        frames = FrameSocket(socket, service.settings.slow_client_seconds)
        await ContextSocket(service, frames, caller_of(socket.scope), models).run()

    @app.post(cartesia.BYTES_PATH, include_in_schema=False)  # documented by Cartesia
    async def speak(request: Request) -> Response:
        """Speak a text as Cartesia's `POST /tts/bytes` does; the audio is streamed while it is made."""
        received_at = time.monotonic()
        try:
            return await respond(request, received_at)
        except ApiError as rejected:
            service.tracker.rejected(rejected.status)
            raise

    async def respond(request: Request, received_at: float) -> SpeechResponse:
        body = await read_body(request)
        with as_field_error():
            fields = cartesia.speech_fields(body, models)
        return speech_response(service, fields, received_at)
