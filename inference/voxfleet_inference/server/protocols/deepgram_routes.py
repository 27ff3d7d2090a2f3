"""Deepgram's Speak protocol: the WebSocket and the HTTP form of /v1/speak.

Knows: FastAPI. Does not know: the protocol's messages and parameters (voxfleet_protocols.deepgram), the form of its
errors (error_forms.py), or how text is spoken.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request, Response, WebSocket
from voxfleet_protocols import deepgram
from voxfleet_protocols.subprotocols import taken
from voxfleet_protocols.translation import ServedModel

from voxfleet_inference.admission.callers import Caller
from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.errors import ApiError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.server.live.client_messages import SessionStart, parse_fields
from voxfleet_inference.server.live.session import Session
from voxfleet_inference.server.live.upgrade import add_upgrade_required
from voxfleet_inference.server.live.websocket import FrameSocket
from voxfleet_inference.server.protocols.translated import TranslatedTransport
from voxfleet_inference.server.protocols.whole_text import speech_response
from voxfleet_inference.server.responses.errors import error_response
from voxfleet_inference.server.responses.sending import as_api_error
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_response import SpeechResponse

ReadBody = Callable[[Request], Awaitable[bytes]]


async def _check_start(service: SpeechService, query: deepgram.DeepgramQuery, caller: Caller) -> None:
    """Check fields and voice before the handshake, as Deepgram does: a client refused later would connect again.

    Raises:
        ApiError: one of them is wrong.
        EngineError: the voice cannot be read.
    """
    start = parse_fields({"type": "session.start", **query.fields})
    assert isinstance(start, SessionStart)  # noqa: S101 - by its type
    await service.prepare(start, caller)


def add_deepgram(app: FastAPI, service: SpeechService, read_body: ReadBody) -> None:
    """Add both forms."""
    models = [ServedModel(service.settings.model_names)]
    add_upgrade_required(app, deepgram.PATH)

    @app.websocket(deepgram.PATH)
    async def session(socket: WebSocket) -> None:
        session_id = uuid.uuid4().hex
        try:
            service.supervisor.check_ready()
            with as_field_error():
                query = deepgram.parse_query(socket.query_params, models, is_session=True)
            await _check_start(service, query, caller_of(socket.scope))
        except (ApiError, EngineError) as error:
            rejected = as_api_error(error)
            service.tracker.rejected(rejected.status)
            await socket.send_denial_response(error_response(rejected))
            return
        await socket.accept(taken(socket.scope["subprotocols"]), [(b"dg-request-id", session_id.encode())])
        translation = deepgram.DeepgramSession(query, session_id)
        transport = TranslatedTransport(FrameSocket(socket, service.settings.slow_client_seconds), translation)
        with structlog.contextvars.bound_contextvars(request_id=session_id):
            await Session(service, transport, caller_of(socket.scope), session_id).run()

    @app.post(deepgram.PATH, include_in_schema=False)  # documented by Deepgram
    async def speak(request: Request) -> Response:
        """Speak a text as Deepgram's `POST /v1/speak` does; the audio is streamed while it is made."""
        received_at = time.monotonic()
        try:
            return await respond(request, received_at)
        except ApiError as rejected:
            service.tracker.rejected(rejected.status)
            raise

    async def respond(request: Request, received_at: float) -> SpeechResponse:
        with as_field_error():
            query = deepgram.parse_query(request.query_params, models, is_session=False)
        body = await read_body(request)
        with as_field_error():
            fields = deepgram.speech_fields(query, body)
        return speech_response(service, fields, received_at)
