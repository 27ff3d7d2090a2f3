"""In which form audio leaves: a format, a rate, a speed; in pieces as they are made, or with silences told between.

Knows: encoders and the events of a speech.
Does not know: HTTP, engines or who listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from voxfleet_inference.audio.encoding import AudioEncoder, make_encoder, with_exact_wav_length
from voxfleet_inference.audio.formats import AudioFormat
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.server.speech_events import MEDIA_TYPE, SpeechUsage
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent


@dataclass(frozen=True, slots=True)
class OutputFormat:
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

    def encoder(self, model_rate: int) -> AudioEncoder:
        """What makes the bytes of one answer."""
        return make_encoder(self.audio_format, model_rate, self.sample_rate)

    def whole(self, audio: bytes) -> bytes:
        """All of an answer's bytes, once they are there."""
        return with_exact_wav_length(audio, self.sample_rate) if self.audio_format.name == "wav" else audio


async def encoded(
    output: OutputFormat, model_rate: int, events: AsyncGenerator[SpeechEvent], usage: SpeechUsage
) -> AsyncGenerator[bytes]:
    """The audio of a speech, as it is made; what happens is counted."""
    encoder, tempo = output.encoder(model_rate), Tempo(output.speed, model_rate)
    async for event in events:
        usage.take(event)
        if not isinstance(event, SpeechAudio):
            continue
        chunk = encoder.encode(tempo.convert(event.samples))
        if chunk:
            yield chunk
    tail = encoder.encode(tempo.finish()) + encoder.finish()
    if tail:
        yield tail


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
