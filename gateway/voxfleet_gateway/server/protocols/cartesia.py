"""Cartesia's protocol through the gateway: WebSocket with several contexts, and HTTP.

Does not know: the protocol's messages and errors (voxfleet_protocols.cartesia); how a session or a request is served.
"""

import json
from dataclasses import dataclass

from aiohttp import web
from voxfleet_protocols import cartesia

from voxfleet_gateway.server.live.contexts import Contexts
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.protocols.refused import as_refusal
from voxfleet_gateway.server.protocols.served_models import served_models
from voxfleet_gateway.server.speech import Speech


@dataclass(slots=True)
class Cartesia:
    """The handlers of /tts/websocket and /tts/bytes."""

    speech: Speech
    live: Live

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Serve a socket, or refuse a request that is no WebSocket's."""
        if "Upgrade" not in request.headers:
            return await self.live.stream(request)
        context = request[CONTEXT]
        socket = self.live.new_socket(context)
        self.live.check(request, socket, context, "")
        socket.headers.update(context.headers())
        await socket.prepare(request)
        await Contexts(request, socket, self.live).run()
        return socket

    async def bytes(self, request: web.Request) -> web.StreamResponse:
        """Speak one text."""
        models = served_models(self.speech.dispatcher, request[CONTEXT].caller)

        def translate(body: bytes) -> bytes:
            with as_refusal():
                return json.dumps(cartesia.speech_fields(body, models)).encode()

        return await self.speech.respond_to(request, translate)
