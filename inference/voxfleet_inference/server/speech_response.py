"""The response to one speech request: audio or events while they are made, or an error before the first byte.

Knows: ASGI, formats, slow clients, and that a client which disconnects cancels its speech. A failure after the first
byte breaks the connection, or is an error event, so that a truncated response never looks complete.
Does not know: how requests are validated or how speech is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.admission.preferences import preferred_wait_seconds
from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.errors import ApiError, UnavailableError
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.responses.output_format import OutputFormat, encoded, with_keep_alives
from voxfleet_inference.server.responses.sending import (
    CLIENT_CLOSED_REQUEST,
    ClientLeftError,
    as_api_error,
    failure_outcome,
    send_body,
    send_error,
    send_head,
    unless_client_leaves,
)
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_events import (
    KEEP_ALIVE,
    SpeechUsage,
    delta_event,
    done_event,
    error_event,
    timestamps_event,
)
from voxfleet_inference.speech.words.sentence_words import WordFinder
from voxfleet_inference.telemetry.load import expected_audio_seconds
from voxfleet_inference.telemetry.metrics import RequestOutcome
from voxfleet_inference.text.sentences import weight

_logger: Final = structlog.get_logger("voxfleet_inference")


class BrokenResponseError(Exception):
    """Speech failed after its first byte: uvicorn drops the connection."""


class SpeechResponse(Response):
    """An ASGI response; opens the request with the tracker and ends it exactly once."""

    def __init__(
        self, service: SpeechService, request: SpeechRequest, output: OutputFormat, received_at: float
    ) -> None:
        super().__init__()
        self._service = service
        self._request = request
        self._output = output
        self._received_at = received_at
        self._usage = SpeechUsage(output.speed)
        self._has_begun = False
        self._has_sent_audio = False
        self._wait_seconds: int | None = None  # for the first byte, from the client's `Prefer`
        self._timeout: asyncio.Timeout | None = None  # of that wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; cancel the speech when the client disconnects."""
        try:
            self._service.supervisor.check_ready()
            permit = self._service.tracker.opened(expected_audio_seconds(weight(self._request.input)), caller_of(scope))
        except ApiError as rejected:
            self._service.tracker.rejected(rejected.status)
            await send_error(send, rejected)
            return
        status, outcome = CLIENT_CLOSED_REQUEST, RequestOutcome.DISCONNECTED
        try:
            self._wait_seconds = preferred_wait_seconds(Headers(scope=scope).getlist("prefer"))
            outcome = await unless_client_leaves(receive, self._send_in_time(send, permit))
            status = 200
        except ClientLeftError:
            self._service.tracker.client_left()
        except Exception as error:
            status, outcome = 500, RequestOutcome.BROKEN
            if self._has_begun or not isinstance(error, EngineError | ApiError):
                _logger.warning("speech_aborted", error=str(error))
                raise BrokenResponseError(str(error)) from error
            api_error = as_api_error(error)
            _logger.warning("speech_failed", error=str(error))
            status = api_error.status
            outcome = failure_outcome(api_error)
            await send_error(send, api_error)
        finally:
            self._service.tracker.ended(permit, status, outcome)

    async def _send_in_time(self, send: Send, permit: Permit) -> RequestOutcome:
        """Send everything and return the outcome; an error when the first byte takes longer than `Prefer: wait`."""
        if self._wait_seconds is None:
            return await self._send_all(send, permit)
        remaining = self._received_at + self._wait_seconds - time.monotonic()
        try:
            async with asyncio.timeout(remaining) as self._timeout:
                return await self._send_all(send, permit)
        except TimeoutError as error:
            message = f"no audio within the {self._wait_seconds} s of 'Prefer: wait={self._wait_seconds}'"
            retry_after = self._service.tracker.retry_after_seconds()
            late = UnavailableError(message, code="wait_exceeded", retry_after_seconds=retry_after)
            if not self._has_begun:
                raise late from error
            return await self._end_with(send, late)  # only keep-alive comments have been sent

    async def _send_all(self, send: Send, permit: Permit) -> RequestOutcome:
        async with aclosing(self._chunks(permit)) as chunks:
            if self._output.is_events:
                return await self._send_events(send, chunks)
            if self._output.is_whole:
                await self._send_whole(send, await anext(chunks))
            else:
                await self._send_stream(send, chunks)
        return RequestOutcome.COMPLETE

    async def _chunks(self, permit: Permit) -> AsyncGenerator[bytes]:
        """Yield the audio in its format as it is made, or in one chunk for `stream: false`."""
        model_rate = self._service.supervisor.model_info.sample_rate
        if self._request.word_timestamps:
            self._usage.finder = WordFinder(model_rate, self._usage.played_at)
        speech = await self._service.prepare(self._request, permit.caller)
        async with aclosing(self._service.speak(speech, permit, request=self._request)) as events:
            chunks = encoded(self._output, model_rate, events, self._usage)
            if self._output.is_whole:
                yield b"".join([chunk async for chunk in chunks])
                return
            async for chunk in chunks:
                yield chunk

    async def _send_stream(self, send: Send, chunks: AsyncGenerator[bytes]) -> None:
        async for chunk in chunks:
            await self._send_audio(send, chunk)
        await self._send_body(send, b"", more=False)

    async def _send_whole(self, send: Send, audio: bytes) -> None:
        await self._begin(send, len(audio))
        await self._send_audio(send, audio, more=False)

    async def _send_events(self, send: Send, chunks: AsyncGenerator[bytes]) -> RequestOutcome:
        try:
            async with aclosing(with_keep_alives(chunks, self._service.settings.keep_alive_seconds)) as coming:
                async for chunk in coming:
                    await self._send_event(send, chunk)
        except (EngineError, ApiError) as error:
            if not self._has_begun:
                raise
            return await self._end_with(send, error)
        await self._send_body(send, done_event(self._usage), more=False)
        return RequestOutcome.COMPLETE

    async def _end_with(self, send: Send, error: Exception) -> RequestOutcome:
        """Send an error as the last event: the status has already been sent."""
        _logger.warning("speech_error_event", error=str(error))
        await self._send_body(send, error_event(as_api_error(error)), more=False)
        return RequestOutcome.BROKEN

    async def _send_event(self, send: Send, chunk: bytes | None) -> None:
        if chunk is None:
            await self._begin(send)
            await self._send_body(send, KEEP_ALIVE, more=True)
            return
        if chunk:
            await self._send_audio(send, delta_event(chunk, self._usage.take_starts()))
        for sentence in self._usage.take_timestamps():
            await self._begin(send)
            await self._send_body(send, timestamps_event(sentence), more=True)

    async def _send_audio(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        await self._begin(send)
        if not self._has_sent_audio:
            self._has_sent_audio = True
            if self._timeout is not None:
                self._timeout.reschedule(None)
            self._service.tracker.first_audio_sent(time.monotonic() - self._received_at)
        await self._send_body(send, chunk, more=more)

    async def _begin(self, send: Send, content_length: int | None = None) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        headers = {
            "content-type": self._output.media_type,
            "voxfleet-seed": str(self._request.seed),  # known before the audio: parsing draws it
            "voxfleet-sample-rate": str(self._output.sample_rate),
            "cache-control": "no-store",  # without a seed, the same request gives other audio
            "x-accel-buffering": "no",  # nginx would buffer the audio
        }
        if content_length is not None:
            truncated = sum(sentence["is_truncated"] for sentence in self._usage.sentences)
            headers |= {"content-length": str(content_length), "voxfleet-truncated-sentences": str(truncated)}
        if self._wait_seconds is not None:
            headers["preference-applied"] = f"wait={self._wait_seconds}"
        await send_head(send, 200, headers)

    async def _send_body(self, send: Send, chunk: bytes, *, more: bool) -> None:
        await send_body(send, chunk, more=more, within_seconds=self._service.settings.slow_client_seconds)
