"""Answers one speech request: audio as it is made, or an error before the first byte.

Knows: ASGI, formats, slow readers, and that a client who leaves must stop the engine. A failure after the first byte
breaks the connection, so that a cut answer never looks complete.
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
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voxfleet_inference.audio.encoding import AudioEncoder, make_encoder, with_exact_wav_length
from voxfleet_inference.audio.formats import AudioFormat
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.client import EngineError
from voxfleet_inference.server.errors import ApiError, InternalError, InvalidFieldError
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_request import SpeechRequest
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech, speak
from voxfleet_inference.telemetry.load import expected_audio_seconds
from voxfleet_inference.text.sentences import weight

CLIENT_CLOSED_REQUEST: Final = 499
_logger: Final = structlog.get_logger("voxfleet_inference")


class BrokenAnswerError(Exception):
    """Audio was already on its way: the server drops the connection."""


class ClientLeftError(Exception):
    """Nobody reads any more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """In which form the audio leaves."""

    audio_format: AudioFormat
    sample_rate: int
    is_whole: bool  # wait for all of it and tell its length
    speed: float = 1.0


class SpeechAnswer(Response):
    """An ASGI response; counts the request in and out exactly once."""

    def __init__(self, service: SpeechService, asked: SpeechRequest, delivery: Delivery, received_at: float) -> None:
        super().__init__()
        self._service = service
        self._asked = asked
        self._delivery = delivery
        self._received_at = received_at
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the audio, watching for the client to leave."""
        del scope
        expected_seconds = expected_audio_seconds(weight(self._asked.input))
        status, outcome = CLIENT_CLOSED_REQUEST, "left"
        self._service.request_opened(expected_seconds)
        try:
            await _unless_client_leaves(receive, self._deliver(send))
            status, outcome = 200, "complete"
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
            self._service.request_ended(expected_seconds, status, outcome)

    async def _deliver(self, send: Send) -> None:
        facts = self._service.loaded_facts
        speech = await self._service.prepare(self._asked)
        encoder = make_encoder(self._delivery.audio_format, facts.sample_rate, self._delivery.sample_rate)
        async with aclosing(speak(self._service.engine, speech, facts.sample_rate)) as events:
            chunks = _encoded(encoder, Tempo(self._delivery.speed, facts.sample_rate), events)
            if self._delivery.is_whole:
                await self._send_whole(send, chunks, speech)
            else:
                await self._send_stream(send, chunks, speech)

    async def _send_stream(self, send: Send, chunks: AsyncGenerator[bytes], speech: Speech) -> None:
        async with aclosing(chunks):
            async for chunk in chunks:
                if not self._has_begun:
                    await self._begin(send, speech, None)
                await self._send_body(send, chunk, more=True)
        await self._send_body(send, b"", more=False)

    async def _send_whole(self, send: Send, chunks: AsyncGenerator[bytes], speech: Speech) -> None:
        async with aclosing(chunks):
            audio = b"".join([chunk async for chunk in chunks])
        if self._delivery.audio_format.name == "wav":
            audio = with_exact_wav_length(audio, self._delivery.sample_rate)
        await self._begin(send, speech, len(audio))
        await self._send_body(send, audio, more=False)

    async def _begin(self, send: Send, speech: Speech, content_length: int | None) -> None:
        self._has_begun = True
        headers = {
            "content-type": self._delivery.audio_format.media_type,
            "voxfleet-seed": str(speech.seed),
            "voxfleet-sample-rate": str(self._delivery.sample_rate),
            "cache-control": "no-store",
        }
        if content_length is not None:
            headers["content-length"] = str(content_length)
        await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
        self._service.first_audio_sent(time.monotonic() - self._received_at)

    async def _send_body(self, send: Send, chunk: bytes, *, more: bool) -> None:
        """Send, but not for ever: a client that reads nothing is cut off."""
        try:
            async with asyncio.timeout(self._service.settings.slow_client_seconds):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError as error:
            raise EngineError("the client read nothing for too long") from error


async def _encoded(encoder: AudioEncoder, tempo: Tempo, events: AsyncGenerator[SpeechEvent]) -> AsyncGenerator[bytes]:
    async for event in events:
        if not isinstance(event, SpeechAudio):
            continue
        chunk = encoder.encode(tempo.convert(event.samples))
        if chunk:
            yield chunk
    tail = encoder.encode(tempo.finish()) + encoder.finish()
    if tail:
        yield tail


async def _unless_client_leaves(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Run the delivery until it ends or the client is gone, whichever comes first."""
    delivery: asyncio.Task[None] = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_gone(receive))
    try:
        await asyncio.wait({delivery, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not delivery.done():
            raise ClientLeftError
        delivery.result()
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
    answer = error if isinstance(error, ApiError) else _as_api_error(error)
    _logger.warning("speech failed", error=str(error))
    body = json.dumps(answer.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
    await send({"type": "http.response.start", "status": answer.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": body})
    return answer.status


def _as_api_error(error: Exception) -> ApiError:
    if str(error).startswith("PromptTooLongError"):
        return InvalidFieldError(str(error).partition(": ")[2], param="input", code="too_long")
    return InternalError(f"the engine could not speak this: {error}", code="engine_error")


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
