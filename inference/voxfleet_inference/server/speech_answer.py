"""Answers one speech request: audio or events as they are made, or an error before the first byte.

Knows: ASGI, formats, slow readers, and that a client who leaves must stop the engine. A failure after the first byte
breaks the connection, or is an error event, so that a cut answer never looks complete.
Does not know: how requests are checked or how speech is made.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voxfleet_inference.admission.gate import caller_of
from voxfleet_inference.admission.places import Place
from voxfleet_inference.admission.preferences import preferred_wait_seconds
from voxfleet_inference.audio.encoding import AudioEncoder, make_encoder, with_exact_wav_length
from voxfleet_inference.audio.formats import AudioFormat
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.client import EngineError
from voxfleet_inference.server.errors import ApiError, InternalError, InvalidFieldError, UnavailableError
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_events import (
    KEEP_ALIVE,
    MEDIA_TYPE,
    Tally,
    delta_event,
    done_event,
    error_event,
)
from voxfleet_inference.server.speech_request import SpeechRequest
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent
from voxfleet_inference.telemetry.load import expected_audio_seconds
from voxfleet_inference.text.sentences import weight

CLIENT_CLOSED_REQUEST: Final = 499
_logger: Final = structlog.get_logger("voxfleet_inference")


class BrokenAnswerError(Exception):
    """Audio was already on its way: the server drops the connection."""


class ClientLeftError(Exception):
    """Nobody reads any more."""


class SlowClientError(Exception):
    """Somebody is there, but reads nothing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """In which form the audio leaves."""

    audio_format: AudioFormat
    sample_rate: int
    is_whole: bool  # wait for all of it and tell its length
    speed: float = 1.0
    is_events: bool = False  # server-sent events instead of bare audio

    @property
    def media_type(self) -> str:
        """What the body is."""
        return MEDIA_TYPE if self.is_events else self.audio_format.media_type


class SpeechAnswer(Response):
    """An ASGI response; counts the request in and out exactly once."""

    def __init__(self, service: SpeechService, asked: SpeechRequest, delivery: Delivery, received_at: float) -> None:
        super().__init__()
        self._service = service
        self._asked = asked
        self._delivery = delivery
        self._received_at = received_at
        self._tally = Tally(delivery.speed)
        self._has_begun = False
        self._has_sent_audio = False
        self._wait_seconds: int | None = None  # for the first byte, as the client prefers
        self._patience: asyncio.Timeout | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the audio, watching for the client to leave."""
        try:
            expected_seconds = expected_audio_seconds(weight(self._asked.input))
            place = self._service.request_opened(expected_seconds, caller_of(scope))
        except ApiError as refused:
            self._service.request_refused(await _send_error(send, refused))
            return
        status, outcome = CLIENT_CLOSED_REQUEST, "left"
        try:
            self._wait_seconds = preferred_wait_seconds(Headers(scope=scope).getlist("prefer"))
            outcome = await _unless_client_leaves(receive, self._deliver_in_time(send, place))
            status = 200
        except ClientLeftError:
            self._service.metrics.cancelled_requests.inc()
        except Exception as error:
            status, outcome = 500, "broken"
            if self._has_begun or not isinstance(error, EngineError | ApiError):
                _logger.warning("speech broken off", error=str(error))
                raise BrokenAnswerError(str(error)) from error
            status = await _send_error(send, error)
            outcome = "failed" if status >= InternalError.status else "refused"
        finally:
            self._service.request_ended(place, status, outcome)

    async def _deliver_in_time(self, send: Send, place: Place) -> str:
        """Send everything, or nothing when the first byte takes longer than the client wants to wait."""
        if self._wait_seconds is None:
            return await self._deliver(send, place)
        remaining = self._received_at + self._wait_seconds - time.monotonic()
        try:
            async with asyncio.timeout(remaining) as self._patience:
                return await self._deliver(send, place)
        except TimeoutError as error:
            message = f"no audio within the {self._wait_seconds} s of 'Prefer: wait={self._wait_seconds}'"
            retry_after = self._service.retry_after_seconds()
            raise UnavailableError(message, code="wait_exceeded", retry_after_seconds=retry_after) from error

    async def _deliver(self, send: Send, place: Place) -> str:
        """Send everything; returns how it went."""
        async with aclosing(self._chunks(place)) as chunks:
            if self._delivery.is_events:
                return await self._send_events(send, chunks)
            if self._delivery.is_whole:
                await self._send_whole(send, await anext(chunks))
            else:
                await self._send_stream(send, chunks)
        return "complete"

    async def _chunks(self, place: Place) -> AsyncGenerator[bytes]:
        """The audio in its format, as it is made, or all at once when it was asked for whole."""
        facts = self._service.loaded_facts
        speech = await self._service.prepare(self._asked, place.caller)
        encoder = make_encoder(self._delivery.audio_format, facts.sample_rate, self._delivery.sample_rate)
        tempo = Tempo(self._delivery.speed, facts.sample_rate)
        async with aclosing(self._service.speak(speech, place, asked=self._asked)) as events:
            chunks = _encoded(encoder, tempo, events, self._tally)
            if self._delivery.is_whole:
                yield self._whole(b"".join([chunk async for chunk in chunks]))
                return
            async for chunk in chunks:
                yield chunk

    def _whole(self, audio: bytes) -> bytes:
        return with_exact_wav_length(audio, self._delivery.sample_rate) if self._is_wav else audio

    @property
    def _is_wav(self) -> bool:
        return self._delivery.audio_format.name == "wav"

    async def _send_stream(self, send: Send, chunks: AsyncGenerator[bytes]) -> None:
        async for chunk in chunks:
            await self._send_audio(send, chunk)
        await self._send_body(send, b"", more=False)

    async def _send_whole(self, send: Send, audio: bytes) -> None:
        await self._begin(send, len(audio))
        await self._send_audio(send, audio, more=False)

    async def _send_events(self, send: Send, chunks: AsyncGenerator[bytes]) -> str:
        outcome = "complete"
        try:
            async with aclosing(with_silences(chunks, self._service.settings.keep_alive_seconds)) as coming:
                async for chunk in coming:
                    await self._send_event(send, chunk)
            last = done_event(self._tally)
        except (EngineError, ApiError) as error:
            if not self._has_begun:
                raise
            _logger.warning("speech ended with an error event", error=str(error))
            last, outcome = error_event(as_api_error(error)), "broken"
        await self._send_body(send, last, more=False)
        return outcome

    async def _send_event(self, send: Send, chunk: bytes | None) -> None:
        if chunk is not None:
            await self._send_audio(send, delta_event(chunk))
            return
        await self._begin(send)
        await self._send_body(send, KEEP_ALIVE, more=True)

    async def _send_audio(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        await self._begin(send)
        if not self._has_sent_audio:
            self._has_sent_audio = True
            self._service.first_audio_sent(time.monotonic() - self._received_at)
        await self._send_body(send, chunk, more=more)

    async def _begin(self, send: Send, content_length: int | None = None) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        if self._patience is not None:
            self._patience.reschedule(None)
        headers = {
            "content-type": self._delivery.media_type,
            "voxfleet-seed": str(self._asked.seed),
            "voxfleet-sample-rate": str(self._delivery.sample_rate),
            "cache-control": "no-store",
            "x-accel-buffering": "no",  # nginx would hold the audio back
        }
        if content_length is not None:
            headers["content-length"] = str(content_length)
        if self._wait_seconds is not None:
            headers["preference-applied"] = f"wait={self._wait_seconds}"
        await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})

    async def _send_body(self, send: Send, chunk: bytes, *, more: bool) -> None:
        """Send, but not for ever: a client that reads nothing is cut off."""
        try:
            async with asyncio.timeout(self._service.settings.slow_client_seconds):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError as error:
            raise SlowClientError("the client read nothing for too long") from error


async def with_silences(chunks: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes | None]:
    """The chunks, and None whenever none has come for so long."""
    while True:
        coming = asyncio.create_task(_next(chunks))
        try:
            while not (await asyncio.wait({coming}, timeout=seconds))[0]:
                yield None
        finally:
            if not coming.done():
                coming.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await coming
        chunk = coming.result()
        if chunk is None:
            return
        yield chunk


async def _next(chunks: AsyncGenerator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _encoded(
    encoder: AudioEncoder, tempo: Tempo, events: AsyncGenerator[SpeechEvent], tally: Tally
) -> AsyncGenerator[bytes]:
    async for event in events:
        tally.take(event)
        if not isinstance(event, SpeechAudio):
            continue
        chunk = encoder.encode(tempo.convert(event.samples))
        if chunk:
            yield chunk
    tail = encoder.encode(tempo.finish()) + encoder.finish()
    if tail:
        yield tail


async def _unless_client_leaves(receive: Receive, work: Coroutine[None, None, str]) -> str:
    """Run the delivery until it ends or the client is gone, whichever comes first; returns how it went."""
    delivery: asyncio.Task[str] = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_gone(receive))
    try:
        await asyncio.wait({delivery, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not delivery.done():
            raise ClientLeftError
        return delivery.result()
    finally:
        for task in (delivery, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_error(send: Send, error: Exception) -> int:
    """Answer with an error; what the engine says about itself stays in the log."""
    answer = as_api_error(error)
    _logger.warning("speech failed", error=str(error))
    body = json.dumps(answer.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
    await send({"type": "http.response.start", "status": answer.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": body})
    return answer.status


def as_api_error(error: Exception) -> ApiError:
    """What the client is told; what the engine cannot do with a text is said as the field's fault."""
    if isinstance(error, ApiError):
        return error
    if str(error).startswith("PromptTooLongError"):
        return InvalidFieldError(str(error).partition(": ")[2], param="input", code="too_long")
    return InternalError(f"the engine could not speak this: {error}", code="engine_error")


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
