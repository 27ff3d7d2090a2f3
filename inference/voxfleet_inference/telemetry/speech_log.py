"""What is known about one request when it ends: a line of the log from which it can be repeated, and its metrics.

Knows: what decides a request's audio, and that the user's text stands in the log only where that was asked for.
Does not know: HTTP, engines, or clocks (moments are arguments).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from voxfleet_inference.requests import SpeechRequest, recording_bytes
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech
from voxfleet_inference.telemetry.metrics import SpeechMetrics

# The same request sounds the same to the bit where these are the same, and the machine and its PyTorch.
SETTINGS_THAT_DECIDE_BITS: Final = (
    "device", "dtype", "deterministic", "cpu_threads", "max_batch_size", "max_prefill_tokens", "max_parallel_sentences",
)  # fmt: skip
_USERS_WORDS: Final = {"input", "instructions", "reference_text", "reference_audio"}


class SpeechLog:
    """Watches the events of one speech."""

    def __init__(self, settings: ServeSettings, speech: Speech, sample_rate: int, started_at: float) -> None:
        self._settings, self._speech = settings, speech
        self._sample_rate, self._started_at = sample_rate, started_at
        self._attempts: list[int] = []
        self._samples = 0

    @property
    def audio_seconds(self) -> float:
        """How much was spoken, at the speed at which it is heard."""
        return self._samples / self._sample_rate / self._speech.speed

    def take(self, event: SpeechEvent, metrics: SpeechMetrics) -> None:
        """Take in what happened."""
        if isinstance(event, SpeechAudio):
            self._samples += len(event.samples)
        if isinstance(event, SentenceEnded):
            self._attempts.append(event.attempts)
            metrics.sentence_ended(event)

    def real_time_factor(self, now: float) -> float | None:
        """Seconds per second of audio; None of nothing."""
        return (now - self._started_at) / self.audio_seconds if self._samples else None

    def line(self, outcome: str, asked: SpeechRequest | None, voice: str, now: float) -> dict[str, Any]:
        """What is logged."""
        line: dict[str, Any] = {
            "outcome": outcome,
            "seconds": round(now - self._started_at, 4),
            "audio_seconds": round(self.audio_seconds, 3),
            "attempts": self._attempts,
            "priority": self._speech.priority,
            "request": self._decided(),
            "settings": {name: getattr(self._settings, name) for name in SETTINGS_THAT_DECIDE_BITS},
        }
        if asked is None:
            return line
        line["request"] = asked.model_dump(exclude=_USERS_WORDS) | self._decided() | {"voice": voice}
        line["input_characters"] = len(asked.input)
        if asked.reference_audio is not None:
            line["reference_audio_sha256"] = hashlib.sha256(recording_bytes(asked.reference_audio)).hexdigest()
        if self._settings.log_text:
            line |= {"input": asked.input, "reference_text": asked.reference_text}
        return line

    def _decided(self) -> dict[str, Any]:
        """What the request left to the server."""
        return {
            "seed": self._speech.seed,
            "cfg_value": self._speech.cfg_value,
            "inference_timesteps": self._speech.inference_timesteps,
        }
