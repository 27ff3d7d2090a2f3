"""One session from its first message to its last, over any transport.

Knows: what each message does, that a wrong one gets an error and the session continues, and what ends a session.
Does not know: how text is spoken, which connection carries the messages, or their form.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from voxfleet_inference.admission.callers import Caller
from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.errors import (
    ApiError,
    InvalidFieldError,
    NoApiKeyError,
    RequestTimeoutError,
    TooManyRequestsError,
    UnavailableError,
)
from voxfleet_inference.requests import check_model
from voxfleet_inference.server.live.client_messages import (
    Cancel,
    ClientMessage,
    SessionEnd,
    SessionStart,
    TextAppend,
    TextFlush,
)
from voxfleet_inference.server.live.live_text import LiveText
from voxfleet_inference.server.live.message_order import SessionPhase, check_active, check_allowed
from voxfleet_inference.server.live.server_messages import SessionDone, SessionError, SessionStarted
from voxfleet_inference.server.live.session_speech import SessionSpeech, Task
from voxfleet_inference.server.live.transport import Ending, Transport
from voxfleet_inference.server.responses.output_format import output_format
from voxfleet_inference.server.responses.sending import (
    CLIENT_CLOSED_REQUEST,
    ClientLeftError,
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
_ENDINGS: Final = {
    RequestTimeoutError: Ending.IDLE,
    NoApiKeyError: Ending.REVOKED,
    UnavailableError: Ending.TRY_LATER,
    TooManyRequestsError: Ending.TRY_LATER,
}
_logger: Final = structlog.get_logger("voxfleet_inference")


class Session:
    """One client's connection: a task that receives messages and a task that speaks."""

    def __init__(self, service: SpeechService, transport: Transport, caller: Caller, session_id: str) -> None:
        self._service, self._transport, self._caller, self._session_id = service, transport, caller, session_id
        self._text = LiveText(service.settings.max_input_characters)
        self._permit: Permit | None = None
        self._active_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Run the session to its end; the tracker counts it exactly once."""
        status, outcome = CLIENT_CLOSED_REQUEST, RequestOutcome.DISCONNECTED
        try:
            await self._exchange()
            status, outcome = 200, RequestOutcome.COMPLETE
        except ClientLeftError:
            self._service.tracker.client_left()
        except SlowClientError as error:
            _logger.warning("session_aborted", error=str(error))
        except (EngineError, ApiError) as error:
            status, outcome = await self._end_with(as_api_error(error))
        finally:
            _logger.info("session", status=status, outcome=outcome.value)
            if self._permit is not None:
                self._service.tracker.ended(self._permit, status, outcome)

    def admit(self) -> Permit:
        """Return the session's permit, taken with the first call; `run` releases it.

        Raises:
            UnavailableError: the server is not ready, or its limit is reached.
            TooManyRequestsError: this tenant's share is reached.
        """
        if self._permit is None:
            self._service.supervisor.check_ready()
            self._permit = self._service.tracker.opened(0.0, self._caller)  # text follows
        return self._permit

    async def _exchange(self) -> None:
        started = await self._start()
        if started is None:
            await self._send_done(SpeechUsage())
            return
        speech = SessionSpeech(self._service, started, self._transport, self._text)
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
        await self._transport.send(SessionDone(usage.tokens))
        is_ready = self._service.supervisor.lifecycle.is_ready
        await self._transport.close(Ending.DONE if is_ready else Ending.GOING_AWAY)

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
                await self._transport.send(SessionError(rejected))

    async def _started(self, message: ClientMessage) -> Task:
        check_allowed(SessionPhase.NEW, message)
        assert isinstance(message, SessionStart)  # noqa: S101 - no other is allowed
        check_model(message.model, self._service.settings.model_names)
        permit = self.admit()
        speech = await self._service.prepare(message, permit.caller)
        self._text.has_pauses = message.normalize
        self._append(message.input)
        output = output_format(message, self._service.supervisor.model_info.sample_rate)
        await self._transport.send(
            SessionStarted(self._session_id, speech.seed, output.audio_format.name, output.sample_rate)
        )
        # No deadline: a session may last as long as it is not idle.
        params = replace(speech.params, deadline_seconds=None)
        return Task(replace(speech, sentences=(), params=params), output, permit, message.word_timestamps)

    async def _receive_all(self, speech: SessionSpeech) -> None:
        while True:
            message = await self._next_message(speech)
            try:
                await self._apply(message, speech)
            except InvalidFieldError as rejected:
                await self._transport.send(SessionError(rejected))

    async def _apply(self, message: ClientMessage, speech: SessionSpeech) -> None:
        check_allowed(SessionPhase.ENDED if self._text.has_ended else SessionPhase.OPEN, message)
        match message:
            case Cancel():
                await speech.cancel()
            case SessionEnd():
                self._text.end()
            case TextAppend():
                self._append(message.text)
            case TextFlush():
                self._text.flush()
                await speech.report_flushed()

    def _append(self, text: str) -> None:
        self._text.append(text)
        if self._permit is not None:
            self._service.tracker.more_expected(self._permit, expected_audio_seconds(weight(text)))

    async def _next_message(self, speech: SessionSpeech | None) -> ClientMessage:
        """Return the next valid message; send an error for each invalid one."""
        while True:
            try:
                return await self._receive(speech)
            except InvalidFieldError as rejected:
                self._active_at = asyncio.get_running_loop().time()
                await self._transport.send(SessionError(rejected))

    async def _receive(self, speech: SessionSpeech | None) -> ClientMessage:
        tick_seconds = min(_TICK_SECONDS, self._service.settings.session_idle_seconds / 4)
        loop = asyncio.get_running_loop()
        while True:
            self._check_open(speech, loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(tick_seconds):
                    message = await self._transport.receive()
                self._active_at = loop.time()
                return message

    def _check_open(self, speech: SessionSpeech | None, now: float) -> None:
        """End the text when the server drains; raise what ends the session.

        Raises:
            NoApiKeyError: the client's key was revoked.
            RequestTimeoutError: `session_idle_seconds` passed without a message, speech, or audio left to play.
        """
        if not self._caller.has_valid_key():
            raise NoApiKeyError("the API key was revoked", has_key=True)
        if not self._service.supervisor.lifecycle.is_ready:
            self._text.end()
        if speech is not None:
            self._active_at = max(self._active_at, speech.played_until if speech.is_idle else now)
        check_active(now - self._active_at, self._service.settings.session_idle_seconds)

    async def _end_with(self, error: ApiError) -> tuple[int, RequestOutcome]:
        """Send the error that ends the session; return its status and outcome for the tracker."""
        _logger.warning("session_failed", error=error.message)
        if self._permit is None:
            self._service.tracker.rejected(error.status)
        with suppress(ClientLeftError, SlowClientError):
            await self._transport.send(SessionError(error))
            await self._transport.close(_ENDINGS.get(type(error), Ending.FAILED))
        return error.status, failure_outcome(error)
