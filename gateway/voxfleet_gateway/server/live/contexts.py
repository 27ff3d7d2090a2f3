"""Several sessions on one WebSocket, each a context with messages of its own.

Knows: that a context's first message begins its session, that a session's end leaves the socket open, and that each
context is admitted, counted and logged as a request.
Does not know: what is spoken; the messages' meaning (voxfleet_protocols.cartesia).
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import WSMessage, WSMsgType, web
from voxfleet_protocols.cartesia import MAX_CONTEXTS, CartesiaContext, ContextMessage, error_frame, parse_message
from voxfleet_protocols.translation import UnusableMessageError

from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.request_context import RequestContext, new_context
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.middleware import CONTEXT, account
from voxfleet_gateway.server.protocols.served_models import served_models
from voxfleet_gateway.server.responses import refusal_event

MAX_WAITING = 256  # messages of a context that its session has not taken
IDLE_SECONDS = 300.0  # of a socket without contexts; Cartesia closes one after as long
LEFT = WSMessage(WSMsgType.CLOSED, None, None)


@dataclass(slots=True)
class ContextSocket:
    """One context's part of a WebSocket."""

    socket: web.WebSocketResponse
    translation: CartesiaContext
    waiting: asyncio.Queue[WSMessage] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    has_left: bool = False

    @property
    def close_code(self) -> int | None:
        """What the WebSocket was closed with."""
        return self.socket.close_code

    async def receive(self) -> WSMessage:
        """Return the context's next message; the client's close frame ends every context."""
        return LEFT if self.has_left else await self.waiting.get()

    def put(self, text: str) -> bool:
        """Append a message; False when too many wait."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(WSMessage(WSMsgType.TEXT, text, None))
            return True
        return False

    def leave(self) -> None:
        """Let the session end: the client is gone."""
        self.has_left = True
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(LEFT)

    async def send_str(self, data: str) -> None:
        """Send a text frame."""
        await self.socket.send_str(data)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame, which this protocol has none of."""
        await self.socket.send_bytes(data)

    async def close(self, *, code: int) -> None:
        """Leave the WebSocket to the other contexts."""


@dataclass(slots=True)
class Contexts:
    """The contexts of one accepted WebSocket."""

    request: web.Request
    socket: web.WebSocketResponse
    live: Live
    open: dict[str, ContextSocket] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Take the client's messages until it closes, or takes nothing; then end every context."""
        receiving, stalled = asyncio.create_task(self._receive_all()), asyncio.create_task(self.stalled.wait())
        try:
            await asyncio.wait({receiving, stalled}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
            elif self.request.transport is not None:
                self.request.transport.abort()  # what is unsent will never be taken
        finally:
            receiving.cancel()
            stalled.cancel()
            for each in self.open.values():
                each.leave()
            await asyncio.gather(receiving, stalled, *self.tasks, return_exceptions=True)

    async def _receive_all(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await self.socket.receive()
            except TimeoutError:
                if not self.open:
                    await self.socket.close()
                    return
                continue
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            await self._take(message.data if message.type is WSMsgType.TEXT else "")

    async def _take(self, text: str) -> None:
        context_id = ""
        try:
            message = parse_message(text)
            context_id = message.context_id
            self._pass(message, text)
        except UnusableMessageError as error:
            with contextlib.suppress(ConnectionResetError):
                await self.socket.send_str(str(error_frame(context_id, str(error), error.code)))

    def _pass(self, message: ContextMessage, text: str) -> None:
        """Pass a message to its context; begin one if need be. Raises UnusableMessageError."""
        context = self.open.get(message.context_id)
        if context is None or context.translation.is_over:
            if message.is_cancel:
                return  # of a context that has ended meanwhile
            context = self._begin(message)
        if not context.put(text):
            raise UnusableMessageError(f"{MAX_WAITING} messages of this context wait; send again later", "too_many")

    def _begin(self, message: ContextMessage) -> ContextSocket:
        if sum(not each.translation.is_over for each in self.open.values()) >= MAX_CONTEXTS:
            raise UnusableMessageError(
                f"{MAX_CONTEXTS} contexts are open on this socket, the most there may be; end one, or open a socket",
                "too_many_contexts",
            )
        models = served_models(self.live.speech.dispatcher, self.request[CONTEXT].caller)
        translation = CartesiaContext(message, models)
        context = self.open[message.context_id] = ContextSocket(self.socket, translation)
        task = asyncio.create_task(self._run(context))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return context

    async def _run(self, socket: ContextSocket) -> None:
        context, translation = self._new_context(), socket.translation
        accounts = self.live.speech.accounts
        try:
            with accounts.admitted(context):
                self.live.check_model(self.request, context, translation.model)
                if await self.live.serve(self.request, socket, context, translation.model, translation):
                    self.stalled.set()
        except RequestRefusedError as refused:
            await self._refuse(context, translation, refused.refusal)
        finally:
            if self.open.get(translation.context_id) is socket:
                del self.open[translation.context_id]
            account(context, accounts)

    def _new_context(self) -> RequestContext:
        """Return the request that a context counts as: of the socket's caller, from its place."""
        handshake = self.request[CONTEXT]
        context = new_context("", handshake.method, handshake.path, handshake.region)
        context.caller, context.client, context.is_speech = handshake.caller, handshake.client, True
        return context

    async def _refuse(self, context: RequestContext, translation: CartesiaContext, refusal: Refusal) -> None:
        context.record_refusal(refusal.code)
        context.status = refusal.status
        with contextlib.suppress(ConnectionResetError):
            for frame in translation.event(refusal_event(refusal)):
                await self.socket.send_str(str(frame))
