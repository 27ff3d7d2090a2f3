"""Sessions over WebSocket: what is refused before the handshake, and the sessions that are open.

Knows: HTTP's part of a WebSocket. Does not know: what is sent in a session.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from voxfleet_protocols.subprotocols import SELECTABLE
from voxfleet_protocols.translation import Translation

from voxfleet_gateway.accounts.key_store import RELOAD_SECONDS
from voxfleet_gateway.decisions.caller import SMALL_BODY_BYTES
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import bad_request, gateway_draining, gateway_starting, no_upgrade, sessions_full
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.live.channel import WRITE_SECONDS, Channel, ClientSocket
from voxfleet_gateway.server.live.intake import Intake
from voxfleet_gateway.server.live.rtc.metered import MeteredSession
from voxfleet_gateway.server.live.rtc.relayed import RelayedSession
from voxfleet_gateway.server.live.session import START_SECONDS, Session
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.responses import refuse
from voxfleet_gateway.server.speech import Speech

STOP_SECONDS = 2.0
ESCAPED_BYTES = 3  # of one byte of UTF-8 at most: a character of four becomes two escapes of six
AnySession = Session | MeteredSession | RelayedSession
PING_SECONDS = 30.0  # below the 60 s after which load balancers close a silent connection; also while it is held


@dataclass(slots=True)
class Live:
    """The handler of WS /v1/audio/speech/stream, and what handlers of other protocols open sessions with."""

    speech: Speech
    ping_seconds: float = PING_SECONDS
    sessions: set[AnySession] = field(default_factory=set)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Serve one session."""
        if "Upgrade" not in request.headers:
            response = refuse(request[CONTEXT], no_upgrade())
            response.headers.update({"Upgrade": "websocket", "Connection": "Upgrade"})
            return response
        return await self.open(request, request.query.get("model", ""))

    async def open(
        self, request: web.Request, model: str, translation: Translation | None = None
    ) -> web.WebSocketResponse:
        """Serve one session, in another protocol with its translation; `model` may be named by the first message."""
        context = request[CONTEXT]
        socket = self.new_socket(context)
        self.check(request, socket, context, model)
        socket.headers.update(context.headers())
        await socket.prepare(request)
        is_stalled = await self.serve(request, socket, context, model, translation)
        # Without a pong, or with a client that takes nothing, what is unsent will never be taken.
        if (is_stalled or isinstance(socket.exception(), TimeoutError)) and request.transport is not None:
            request.transport.abort()
        return socket

    async def serve(
        self,
        request: web.Request,
        socket: ClientSocket,
        context: RequestContext,
        model: str,
        translation: Translation | None = None,
    ) -> bool:
        """Run one session on an accepted socket; return whether its client took nothing any more."""
        max_bytes = self.max_message_bytes(context)
        with self.speech.bodies.reserve() as reservation:
            backlog = Backlog(reservation, max_bytes + SMALL_BODY_BYTES)
            intake = Intake(self.speech, context, backlog, model)
            channel = Channel(socket, context, WRITE_SECONDS, translation)
            session = Session(request, socket, self.speech, context, intake, channel, START_SECONDS)
            for message in translation.opened() if translation is not None else ():
                await intake.take(json.dumps(message))
            self.sessions.add(session)
            try:
                await session.run()
            finally:
                self.sessions.discard(session)
            return channel.is_stalled

    def new_socket(self, context: RequestContext) -> web.WebSocketResponse:
        """Return the response that a handshake becomes."""
        max_bytes = self.max_message_bytes(context)
        return web.WebSocketResponse(
            protocols=SELECTABLE, heartbeat=self.ping_seconds, max_msg_size=max_bytes, compress=False
        )

    def max_message_bytes(self, context: RequestContext) -> int:
        """Return the largest message that a client may send."""
        # The gateway that spills a session writes its first message anew, in ASCII.
        return self.speech.settings.max_message_bytes * (ESCAPED_BYTES if context.is_spilled else 1)

    async def run(self) -> None:
        """End sessions whose key is no longer valid, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            found = [(each, self.speech.accounts.lost_key(each.context.caller)) for each in self.sessions]
            await _end_all({session: refusal for session, refusal in found if refusal is not None})

    async def stop(self, _app: web.Application) -> None:
        """End every session, those over WebSocket with close code 1012, after the drain."""
        await _end_all(dict.fromkeys(self.sessions, gateway_draining()))

    def check(self, request: web.Request, socket: web.WebSocketResponse, context: RequestContext, name: str) -> None:
        """Refuse a handshake. Raises RequestRefusedError."""
        dispatcher, limit = self.speech.dispatcher, self.speech.settings.max_sessions
        if not socket.can_prepare(request):
            raise RequestRefusedError(bad_request("The WebSocket handshake is not valid.", None, "bad_handshake"))
        if len(self.sessions) >= limit:
            raise RequestRefusedError(sessions_full(limit))
        if not dispatcher.is_synced():
            raise RequestRefusedError(gateway_starting())
        if name:
            self.check_model(request, context, name)

    def check_model(self, request: web.Request, context: RequestContext, name: str) -> None:
        """Wake a model's region that sleeps: text is about to come. Raises RequestRefusedError."""
        dispatcher = self.speech.dispatcher
        model = dispatcher.model(name, context.caller)
        decision = dispatcher.decide(model, self.speech.route_request(request), context)
        dispatcher.check_holdable(decision, model, context)
        dispatcher.wake_for(decision, model, context.caller)


async def _end_all(refusals: Mapping[AnySession, Refusal]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):  # not for ever: a client may take nothing
            await asyncio.gather(*(each.end(why) for each, why in refusals.items()), return_exceptions=True)
