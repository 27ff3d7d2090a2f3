"""The handler of WS /v1/audio/speech/stream: what is refused before the handshake, and the sessions that are open.

Knows: HTTP's part of a WebSocket. Does not know: what is sent in a session.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import web

from voxfleet_gateway.decisions.caller import SMALL_BODY_BYTES
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import bad_request, gateway_starting, no_upgrade, sessions_full
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.live.channel import WRITE_SECONDS, Channel
from voxfleet_gateway.server.live.intake import Intake
from voxfleet_gateway.server.live.session import START_SECONDS, Session
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.responses import refuse
from voxfleet_gateway.server.speech import Speech

STOP_SECONDS = 2.0
TAKEN = "realtime"  # of the subprotocols that a browser offers with its key, as OpenAI's API; the other one is the key
ESCAPED_BYTES = 3  # of one byte of UTF-8 at most: a character of four becomes two escapes of six
PING_SECONDS = 30.0  # below the 60 s after which load balancers close a silent connection; also while it is held


@dataclass(slots=True)
class Live:
    """The handler."""

    speech: Speech
    ping_seconds: float = PING_SECONDS
    sessions: set[Session] = field(default_factory=set)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Serve one session."""
        context, settings = request[CONTEXT], self.speech.settings
        if "Upgrade" not in request.headers:
            response = refuse(context, no_upgrade())
            response.headers.update({"Upgrade": "websocket", "Connection": "Upgrade"})
            return response
        # The gateway that spills a session writes its first message anew, in ASCII.
        max_bytes = settings.max_message_bytes * (ESCAPED_BYTES if context.is_spilled else 1)
        socket = web.WebSocketResponse(
            protocols=(TAKEN,), heartbeat=self.ping_seconds, max_msg_size=max_bytes, compress=False
        )
        self._check(request, socket, context)
        socket.headers.update(context.headers())
        await socket.prepare(request)
        with self.speech.bodies.reserve() as reservation:
            backlog = Backlog(reservation, max_bytes + SMALL_BODY_BYTES)
            intake, channel = Intake(self.speech, context, backlog), Channel(socket, context, WRITE_SECONDS)
            session = Session(request, socket, self.speech, context, intake, channel, START_SECONDS)
            self.sessions.add(session)
            try:
                await session.run()
            finally:
                self.sessions.discard(session)
                is_stalled = session.channel.is_stalled or isinstance(socket.exception(), TimeoutError)  # of a pong
                if is_stalled and request.transport is not None:
                    request.transport.abort()  # what is unsent will never be taken
        return socket

    async def stop(self, _app: web.Application) -> None:
        """End every session with close code 1012, after the drain."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):  # not for ever: a client may take nothing
                await asyncio.gather(*(session.restart() for session in self.sessions), return_exceptions=True)

    def _check(self, request: web.Request, socket: web.WebSocketResponse, context: RequestContext) -> None:
        """Refuse a handshake. Raises RequestRefusedError."""
        dispatcher, limit = self.speech.dispatcher, self.speech.settings.max_sessions
        if not socket.can_prepare(request):
            raise RequestRefusedError(bad_request("The WebSocket handshake is not valid.", None, "bad_handshake"))
        if len(self.sessions) >= limit:
            raise RequestRefusedError(sessions_full(limit))
        if not dispatcher.is_synced():
            raise RequestRefusedError(gateway_starting())
        if name := request.query.get("model"):
            # Text is about to come: a region that sleeps begins to wake before the first message.
            model = dispatcher.model(name, context.caller)
            decision = dispatcher.decide(model, self.speech.route_request(request), context)
            dispatcher.check_holdable(decision, model, context)
            dispatcher.wake_for(decision, model, context.caller)
