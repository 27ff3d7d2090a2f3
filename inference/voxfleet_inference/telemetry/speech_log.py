"""The log line of one speech request, from which `synthesize --from-log` can replay it, and its metrics.

Knows: what decides a request's audio, and that texts are logged only with `--log-text`.
Does not know: HTTP, engines, or clocks (the time is an argument).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from voxfleet_inference.requests import SpeechRequest, recording_bytes
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech
from voxfleet_inference.telemetry.metrics import RequestOutcome, SpeechMetrics

# With equal values of these, on an equal machine with the same PyTorch, a request gives the same bits.
SETTINGS_THAT_DECIDE_BITS: Final = (
    "device", "dtype", "deterministic", "cpu_threads", "max_batch_size", "max_prefill_tokens", "max_parallel_sentences",
)  # fmt: skip
# Personal data: left out of the log without --log-text; recordings are never logged.
_TEXT_FIELDS: Final = {"input", "instructions", "reference_text", "reference_audio"}


class SpeechLog:
    """Collects the events of one speech."""

    def __init__(self, settings: ServeSettings, speech: Speech, sample_rate: int, started_at: float) -> None:
        self._settings, self._speech = settings, speech
        self._sample_rate, self._started_at = sample_rate, started_at
        self._attempts: list[int] = []
        self._samples = 0

    @property
    def audio_seconds(self) -> float:
        """The length of the audio, at the speed of the request."""
        return self._samples / self._sample_rate / self._speech.params.speed

    def take(self, event: SpeechEvent, metrics: SpeechMetrics) -> None:
        """Count an event, also in `metrics`."""
        if isinstance(event, SpeechAudio):
            self._samples += len(event.samples)
        if isinstance(event, SentenceEnded):
            self._attempts.append(event.attempts)
            metrics.sentence_ended(event)

    def real_time_factor(self, now: float) -> float | None:
        """Return the time since the start per second of audio; None without audio."""
        return (now - self._started_at) / self.audio_seconds if self._samples else None

    def line(self, outcome: RequestOutcome, request: SpeechRequest | None, now: float) -> dict[str, Any]:
        """Return the fields of the log line; `request` is None for a session."""
        line: dict[str, Any] = {
            "outcome": outcome.value,
            "seconds": round(now - self._started_at, 4),
            "audio_seconds": round(self.audio_seconds, 3),
            "attempts": self._attempts,
            "priority": self._speech.params.priority,
            "request": self._defaults(),
            "settings": {name: getattr(self._settings, name) for name in SETTINGS_THAT_DECIDE_BITS},
        }
        if request is None:
            return line
        line["request"] = (
            request.model_dump(exclude=_TEXT_FIELDS) | self._defaults() | {"voice": self._speech.voice_name}
        )
        line["input_characters"] = len(request.input)
        if request.reference_audio is not None:
            line["reference_audio_sha256"] = hashlib.sha256(recording_bytes(request.reference_audio)).hexdigest()
        if self._settings.log_text:
            line |= {"input": request.input, "reference_text": request.reference_text}
        return line

    def _defaults(self) -> dict[str, Any]:
        """Return the fields that the server fills in when the request leaves them out."""
        return {
            "seed": self._speech.seed,
            "cfg_value": self._speech.cfg_value,
            "inference_timesteps": self._speech.inference_timesteps,
        }
