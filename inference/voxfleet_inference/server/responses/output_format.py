"""The form in which audio is sent: format, sample rate, speed, streamed or whole, bare or as events.

Knows: encoders and the events of a speech.
Does not know: HTTP, engines or clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from voxfleet_inference.audio.encoding import AudioEncoder, make_encoder
from voxfleet_inference.audio.formats import FORMATS, AudioFormat
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.speech_events import MEDIA_TYPE, SpeechUsage
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """What a request asks for, with its defaults filled in."""

    audio_format: AudioFormat
    sample_rate: int
    is_whole: bool  # send nothing before the audio is complete, then with its length
    speed: float
    is_events: bool  # server-sent events instead of bare audio
    stream_number: int = 0  # of an Ogg stream

    @property
    def media_type(self) -> str:
        """The response's Content-Type."""
        return MEDIA_TYPE if self.is_events else self.audio_format.media_type

    def encoder(self, model_rate: int) -> AudioEncoder:
        """Return an encoder for one response."""
        return make_encoder(
            self.audio_format,
            model_rate,
            self.sample_rate,
            is_whole=self.is_whole,
            stream_number=self.stream_number,
        )


def output_format(request: SpeechRequest, model_rate: int) -> OutputFormat:
    """Return the form that a request, or a session's start, asks for."""
    audio_format = FORMATS[request.response_format]
    return OutputFormat(
        audio_format,
        audio_format.rate_for(request.sample_rate, model_rate),
        is_whole=not request.stream,
        speed=request.speed,
        is_events=request.stream_format == "sse",
        stream_number=request.stream_number,
    )


async def encoded(
    output: OutputFormat, model_rate: int, events: AsyncGenerator[SpeechEvent], usage: SpeechUsage
) -> AsyncGenerator[bytes]:
    """Yield a speech's audio in its format as it is made, and count its events in `usage`; b"" for words alone."""
    encoder, tempo = output.encoder(model_rate), Tempo(output.speed, model_rate)
    async for event in events:
        usage.take(event)
        if not isinstance(event, SpeechAudio):
            if usage.timestamps:
                yield b""  # they are sent now, not with the next audio
            continue
        chunk = encoder.encode(tempo.convert(event.samples))
        if chunk:
            yield chunk
    tail = encoder.encode(tempo.finish()) + encoder.finish()
    if tail:
        yield tail


async def with_keep_alives(chunks: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes | None]:
    """Yield the chunks, and None after every `seconds` in which there was none."""
    while True:
        # A task, because a timeout around anext() would cancel the speech itself.
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
