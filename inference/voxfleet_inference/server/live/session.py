"""One session from its first message to its last.

Knows: which message is allowed when, that a wrong one gets an error and the session continues, and what ends a session.
Does not know: how text is spoken, or the form of what is sent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.errors import (
    ApiError,
    InvalidFieldError,
    RequestTimeoutError,
    TooManyRequestsError,
    UnavailableError,
)
from voxfleet_inference.requests import check_model
from voxfleet_inference.server.live.channel import Channel, CloseCode
from voxfleet_inference.server.live.client_messages import (
    Cancel,
    ClientMessage,
    SessionEnd,
    SessionStart,
    TextAppend,
    TextFlush,
    parse_message,
)
from voxfleet_inference.server.live.live_text import LiveText
from voxfleet_inference.server.live.session_speech import SessionSpeech, Task
from voxfleet_inference.server.responses.output_format import output_format
from voxfleet_inference.server.responses.sending import (
    CLIENT_CLOSED_REQUEST,
    SlowClientError,
    as_api_error,
    failure_outcome,
)
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_events import SpeechUsage
from voxfleet_inference.telemetry.load import expected_audio_seconds
from voxfleet_inference.telemetry.metrics import RequestOutcome
from voxfleet_inference.text.sentences import weight

_TICK_SECONDS: Final = 1.0  # how often a session without messages checks its idle time and the server's state
_CLOSE_CODES: Final = {
    RequestTimeoutError: CloseCode.IDLE,
    UnavailableError: CloseCode.TRY_LATER,
    TooManyRequestsError: CloseCode.TRY_LATER,
}
_logger: Final = structlog.get_logger("voxfleet_inference")


class Session:
    """One accepted WebSocket: a task that receives messages and a task that speaks."""

    def __init__(self, service: SpeechService, socket: WebSocket, session_id: str) -> None:
        self._service, self._socket, self._session_id = service, socket, session_id
        self._channel = Channel(socket, service.settings.slow_client_seconds)
        self._text = LiveText(service.settings.max_input_characters)
        self._permit: Permit | None = None
        self._active_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Run the session to its end; the tracker counts it exactly once."""
        status, outcome = CLIENT_CLOSED_REQUEST, RequestOutcome.DISCONNECTED
        try:
            await self._exchange()
            status, outcome = 200, RequestOutcome.COMPLETE
        except WebSocketDisconnect:
            self._service.tracker.client_left()
        except SlowClientError as error:
            _logger.warning("session_aborted", error=str(error))
        except (EngineError, ApiError) as error:
            status, outcome = await self._end_with(as_api_error(error))
        finally:
            _logger.info("session", status=status, outcome=outcome.value)
            if self._permit is not None:
                self._service.tracker.ended(self._permit, status, outcome)

    async def _exchange(self) -> None:
        started = await self._start()
        if started is None:
            await self._send_done(SpeechUsage())
            return
        speech = SessionSpeech(self._service, started, self._channel, self._text)
        speaking, receiving = asyncio.create_task(speech.run()), asyncio.create_task(self._receive_all(speech))
        try:
            await asyncio.wait({speaking, receiving}, return_when=asyncio.FIRST_COMPLETED)
            (speaking if speaking.done() else receiving).result()
        finally:
            for task in (speaking, receiving):
                task.cancel()
            await asyncio.gather(speaking, receiving, return_exceptions=True)
        await self._send_done(speech.usage)

    async def _send_done(self, usage: SpeechUsage) -> None:
        await self._channel.send_event("session.done", usage=usage.tokens)
        await self._channel.close(
            CloseCode.DONE if self._service.supervisor.lifecycle.is_ready else CloseCode.GOING_AWAY
        )

    async def _start(self) -> Task | None:
        """Wait for a valid session.start; None when the client ends the session first."""
        while True:
            message = await self._next_message(None)
            if isinstance(message, SessionEnd):
                return None
            try:
                return await self._started(message)
            except (UnavailableError, TooManyRequestsError):
                raise
            except ApiError as rejected:
                await self._channel.send_error(rejected)

    async def _started(self, message: ClientMessage) -> Task:
        if not isinstance(message, SessionStart):
            raise InvalidFieldError("the first message must be session.start", param="type", code="not_started")
        check_model(message.model, self._service.settings.model_names)
        if self._permit is None:
            self._service.supervisor.check_ready()
            self._permit = self._service.tracker.opened(0.0, caller_of(self._socket.scope))  # text follows
        speech = await self._service.prepare(message, self._permit.caller)
        self._text.has_pauses = message.normalize
        self._append(message.input)
        output = output_format(message, self._service.supervisor.model_info.sample_rate)
        await self._channel.send_event(
            "session.started",
            session_id=self._session_id,
            seed=speech.seed,
            response_format=output.audio_format.name,
            sample_rate=output.sample_rate,
        )
        # No deadline: a session may last as long as it is not idle.
        params = replace(speech.params, deadline_seconds=None)
        return Task(replace(speech, sentences=(), params=params), output, self._permit)

    async def _receive_all(self, speech: SessionSpeech) -> None:
        while True:
            message = await self._next_message(speech)
            try:
                await self._apply(message, speech)
            except InvalidFieldError as rejected:
                await self._channel.send_error(rejected)

    async def _apply(self, message: ClientMessage, speech: SessionSpeech) -> None:
        match message:
            case Cancel():
                await speech.cancel()
            case SessionEnd():
                self._text.end()
            case _ if self._text.has_ended:
                raise InvalidFieldError(
                    "the session has been ended; only cancel may follow", param="type", code="ended"
                )
            case TextAppend():
                self._append(message.text)
            case TextFlush():
                self._text.flush()
            case SessionStart():
                raise InvalidFieldError("the session has started already", param="type", code="already_started")

    def _append(self, text: str) -> None:
        self._text.append(text)
        if self._permit is not None:
            self._service.tracker.more_expected(self._permit, expected_audio_seconds(weight(text)))

    async def _next_message(self, speech: SessionSpeech | None) -> ClientMessage:
        """Return the next valid message; send an error for each invalid one."""
        while True:
            try:
                return parse_message(await self._receive(speech))
            except InvalidFieldError as rejected:
                await self._channel.send_error(rejected)

    async def _receive(self, speech: SessionSpeech | None) -> str | None:
        tick_seconds = min(_TICK_SECONDS, self._service.settings.session_idle_seconds / 4)
        loop = asyncio.get_running_loop()
        while True:
            self._check_idle(speech, loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(tick_seconds):
                    message = await self._socket.receive()
                self._active_at = loop.time()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1005))  # 1005: no code received (RFC 6455, 7.1.5)
                text: str | None = message.get("text")
                return text

    def _check_idle(self, speech: SessionSpeech | None, now: float) -> None:
        """End the text when the server drains.

        Raises:
            RequestTimeoutError: `session_idle_seconds` passed without a message, speech, or audio left to play.
        """
        if not self._service.supervisor.lifecycle.is_ready:
            self._text.end()
        if speech is not None:
            self._active_at = max(self._active_at, speech.played_until if speech.is_idle else now)
        allowed = self._service.settings.session_idle_seconds
        if now - self._active_at > allowed:
            raise RequestTimeoutError(f"no message and no speech for {allowed:g} s", code="session_idle")

    async def _end_with(self, error: ApiError) -> tuple[int, RequestOutcome]:
        """Send the error that ends the session; return its status and outcome for the tracker."""
        _logger.warning("session_failed", error=error.message)
        if self._permit is None:
            self._service.tracker.rejected(error.status)
        with suppress(WebSocketDisconnect, SlowClientError):
            await self._channel.send_error(error)
            await self._channel.close(_CLOSE_CODES.get(type(error), CloseCode.FAILED))
        return error.status, failure_outcome(error)
