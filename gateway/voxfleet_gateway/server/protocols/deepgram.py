"""Deepgram's Speak protocol through the gateway: WebSocket and HTTP, for the plug-ins of agent frameworks.

Knows: that the query names a voice.
Does not know: the protocol's messages and errors (voxfleet_protocols.deepgram); how a session or a request is served.
"""

import json
from dataclasses import dataclass

from aiohttp import web
from voxfleet_protocols import deepgram

from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.protocols.refused import as_refusal
from voxfleet_gateway.server.protocols.served_models import served_models
from voxfleet_gateway.server.requests.speech_request import check_output
from voxfleet_gateway.server.speech import Speech


@dataclass(slots=True)
class Deepgram:
    """The handlers of /v1/speak."""

    speech: Speech
    live: Live

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Serve a session, or refuse a request that is no WebSocket's."""
        if "Upgrade" not in request.headers:
            return await self.live.stream(request)
        context = request[CONTEXT]
        query = self._query(request, is_session=True)
        check_output(query.fields)
        # Before the handshake: a client that is refused later would try the same voice again.
        model = self.speech.dispatcher.model(query.model, context.caller)
        await self.speech.voice_of(query.voice, model, context)
        return await self.live.open(request, query.model, deepgram.DeepgramSession(query, context.request_id))

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Speak one text."""
        query = self._query(request, is_session=False)
        return await self.speech.respond_to(request, lambda body: _speech_body(query, body))

    def _query(self, request: web.Request, *, is_session: bool) -> deepgram.DeepgramQuery:
        models = served_models(self.speech.dispatcher, request[CONTEXT].caller)
        with as_refusal():
            return deepgram.parse_query(request.query, models, is_session=is_session)


def _speech_body(query: deepgram.DeepgramQuery, body: bytes) -> bytes:
    with as_refusal():
        return json.dumps(deepgram.speech_fields(query, body)).encode()
