"""Speaks sentences on a server, several side by side, through the public API.

Knows: a speech request and its fields. Does not know: what the audio is measured for.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from speaking.decoding import decode
from speaking.sentences import Sentence

MODEL_RATE_HZ = 44_100
TIMEOUT_SECONDS = 600.0
# Opus has no 44.1 kHz; the others keep the model's rate, so that lossless ones carry the model's samples.
RATES_HZ = {"opus": 48_000, "mulaw": 8_000, "alaw": 8_000}  # else the model's


class SpeechError(Exception):
    """A request was not answered with audio; the message has the sentence and the server's reason."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A voice to clone: a whole WAV file, and what it says."""

    file: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSettings:
    """How sentences are requested."""

    streams: int = 8  # requests that are open at the same time
    audio_format: str = "pcm"
    is_streamed: bool = True
    cfg_value: float = 2.0
    voice: str = "default"
    recording: Recording | None = None  # replaces `voice`

    def body(self, text: str, seed: int) -> dict[str, Any]:
        """Return the body of one request."""
        cloned = {} if self.recording is None else {
            "reference_audio": base64.b64encode(self.recording.file).decode(), "reference_text": self.recording.text,
        }  # fmt: skip
        return cloned | {
            "model": "voxcpm-1.5", "input": text, "voice": self.voice, "normalize": True, "seed": seed,
            "response_format": self.audio_format, "stream": self.is_streamed, "cfg_value": self.cfg_value,
            "sample_rate": RATES_HZ.get(self.audio_format, MODEL_RATE_HZ),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of one sentence with one seed."""

    sentence: Sentence
    seed: int
    samples: NDArray[np.float32]  # [samples]
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, slots=True)
class Spoken:
    """The clips of a run, and how long the server took for all of them."""

    clips: tuple[Clip, ...]
    wall_seconds: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio, over all streams together."""
        return self.wall_seconds / max(1e-9, sum(clip.seconds for clip in self.clips))


def speak_all(
    url: str,
    sentences: Sequence[Sentence],
    seeds: Sequence[int],
    settings: SpeechSettings,
    on_clip: Callable[[], None] = lambda: None,
) -> Spoken:
    """Speak every sentence with every seed; clips are in the order seed, sentence.

    Raises:
        SpeechError: a request was not answered with audio.
    """
    started = time.monotonic()
    clips = asyncio.run(_speak_all(url, [(each, seed) for seed in seeds for each in sentences], settings, on_clip))
    return Spoken(tuple(clips), time.monotonic() - started)


def record(url: str, text: str) -> Recording:
    """Return a recording of the server's own voice.

    Raises:
        SpeechError: the request was not answered with audio.
    """
    body = SpeechSettings(audio_format="wav", is_streamed=False).body(text, seed=0)
    answer = httpx.post(f"{url}/v1/audio/speech", json=body, timeout=TIMEOUT_SECONDS)
    if answer.is_error:
        raise SpeechError(f"{text!r}: {answer.status_code}: {answer.text[:300]}")
    return Recording(answer.content, text)


async def _speak_all(
    url: str, requests: Sequence[tuple[Sentence, int]], settings: SpeechSettings, on_clip: Callable[[], None]
) -> list[Clip]:
    free_streams = asyncio.Semaphore(settings.streams)
    limits = httpx.Limits(max_connections=settings.streams)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, limits=limits) as http:

        async def one(sentence: Sentence, seed: int) -> Clip:
            async with free_streams:
                clip = await _speak(http, sentence, seed, settings)
            on_clip()
            return clip

        return await asyncio.gather(*(one(sentence, seed) for sentence, seed in requests))


async def _speak(http: httpx.AsyncClient, sentence: Sentence, seed: int, settings: SpeechSettings) -> Clip:
    body = settings.body(sentence.text, seed)
    try:
        answer = await http.post("/v1/audio/speech", json=body)
        if answer.is_error:
            raise SpeechError(f"{sentence.text!r}: {answer.status_code}: {answer.text[:300]}")
        samples, rate_hz = decode(settings.audio_format, answer.content, body["sample_rate"])
    except (httpx.TransportError, ValueError) as error:
        raise SpeechError(f"{sentence.text!r}: {error!r}") from error
    return Clip(sentence, seed, samples, rate_hz)
