"""Several sessions on one WebSocket, each a context with messages of its own.

Knows: that a context's first message begins its session, that a session's end leaves the socket open, and that a socket
without contexts is closed when it was idle for `session_idle_seconds` or the server drains.
Does not know: what is spoken; the messages' meaning (voxfleet_protocols.cartesia).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from voxfleet_protocols.cartesia import MAX_CONTEXTS, CartesiaContext, ContextMessage, error_frame, parse_message
from voxfleet_protocols.translation import Frame, ServedModel, UnusableMessageError

from voxfleet_inference.admission.callers import Caller
from voxfleet_inference.server.live.session import Session
from voxfleet_inference.server.live.transport import Ending
from voxfleet_inference.server.live.websocket import FrameSocket
from voxfleet_inference.server.protocols.translated import TranslatedTransport
from voxfleet_inference.server.responses.sending import ClientLeftError, SlowClientError
from voxfleet_inference.server.service import SpeechService

_TICK_SECONDS: Final = 1.0  # how often a socket without messages checks its idle time and the server's state
_MAX_WAITING: Final = 256  # messages of a context that its session has not taken


class Context:
    """The frames of one session."""

    def __init__(self, socket: FrameSocket, on_stall: asyncio.Event, translation: CartesiaContext) -> None:
        self._socket, self._on_stall, self.translation = socket, on_stall, translation
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(_MAX_WAITING)
        self._has_left = False

    def put(self, text: str) -> bool:
        """Append a frame of the client; False when too many wait."""
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(text)
            return True
        return False

    def leave(self) -> None:
        """Let the session end: the client is gone."""
        self._has_left = True
        if self._waiting.empty():
            self._waiting.put_nowait(None)

    async def receive(self) -> str:
        """Return the next frame. Raises ClientLeftError."""
        text = await self._waiting.get()
        if text is None or self._has_left:
            raise ClientLeftError
        return text

    async def send(self, frame: Frame) -> None:
        """Send a frame. Raises ClientLeftError or SlowClientError, which ends the socket."""
        try:
            await self._socket.send(frame)
        except SlowClientError:
            self._on_stall.set()
            raise

    async def close(self, ending: Ending) -> None:
        """Leave the socket to the other contexts."""


class ContextSocket:
    """One accepted WebSocket with its contexts."""

    def __init__(
        self, service: SpeechService, socket: FrameSocket, caller: Caller, models: Sequence[ServedModel]
    ) -> None:
        self._service, self._socket, self._caller, self._models = service, socket, caller, models
        self._contexts: dict[str, Context] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stalled = asyncio.Event()
        self._active_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Take the client's messages until it leaves, or reads nothing; then end every context."""
        receiving, stalled = asyncio.create_task(self._receive_all()), asyncio.create_task(self._stalled.wait())
        try:
            await asyncio.wait({receiving, stalled}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
        except (ClientLeftError, SlowClientError):
            pass  # the contexts count it
        finally:
            receiving.cancel()
            stalled.cancel()
            for context in self._contexts.values():
                context.leave()
            await asyncio.gather(receiving, stalled, *self._tasks, return_exceptions=True)

    async def _receive_all(self) -> None:
        while True:
            text = None
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    text = await self._socket.receive() or ""
            now = asyncio.get_running_loop().time()
            if text is not None or self._contexts:
                self._active_at = now
            if text is not None:
                await self._take(text)
            elif ending := self._ending(now):
                await self._socket.close(ending)
                return

    def _ending(self, now: float) -> Ending | None:
        """Return why a socket without contexts is closed; None while it is not."""
        if self._contexts:
            return None
        if not self._service.supervisor.lifecycle.is_ready:
            return Ending.GOING_AWAY
        return Ending.IDLE if now - self._active_at > self._service.settings.session_idle_seconds else None

    async def _take(self, text: str) -> None:
        try:
            message = parse_message(text)
        except UnusableMessageError as error:
            await self._socket.send(error_frame("", str(error), error.code))
            return
        try:
            self._pass(message, text)
        except UnusableMessageError as error:
            await self._socket.send(error_frame(message.context_id, str(error), error.code))

    def _pass(self, message: ContextMessage, text: str) -> None:
        """Pass a message to its context; begin one if need be. Raises UnusableMessageError."""
        context = self._contexts.get(message.context_id)
        if context is None or context.translation.is_over:
            if message.is_cancel:
                return  # of a context that has ended meanwhile
            context = self._begin(message)
        if not context.put(text):
            raise UnusableMessageError(f"{_MAX_WAITING} messages of this context wait; send again later", "too_many")

    def _begin(self, message: ContextMessage) -> Context:
        if sum(not each.translation.is_over for each in self._contexts.values()) >= MAX_CONTEXTS:
            raise UnusableMessageError(
                f"{MAX_CONTEXTS} contexts are open on this socket, the most there may be; end one, or open a socket",
                "too_many_contexts",
            )
        translation = CartesiaContext(message, self._models)
        context = self._contexts[message.context_id] = Context(self._socket, self._stalled, translation)
        task = asyncio.create_task(self._run(context))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return context

    async def _run(self, context: Context) -> None:
        session_id = uuid.uuid4().hex
        try:
            with structlog.contextvars.bound_contextvars(request_id=session_id):
                transport = TranslatedTransport(context, context.translation)
                await Session(self._service, transport, self._caller, session_id).run()
        finally:
            context_id = context.translation.context_id
            if self._contexts.get(context_id) is context:
                del self._contexts[context_id]
