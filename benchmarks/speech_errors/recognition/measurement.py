"""What was recognised in spoken sentences, beside what was to be spoken, and the figures that follow from it.

Knows: word error rates and lengths. Does not know: limits, or how the audio was made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from recognition.recogniser import Recogniser
from recognition.word_errors import WordErrors, count_word_errors
from speaking.synthesis import Clip, Spoken

LENGTH_TOLERANCE = 0.25  # of the teacher's length
SAME_AUDIO_TOLERANCE = 1e-3  # of full scale, per sample


@dataclass(frozen=True, slots=True)
class Reading:
    """One clip with its recognised text."""

    clip: Clip
    recognised: str
    word_errors: WordErrors

    @property
    def length_error(self) -> float:
        """Difference from the teacher's length, as a share of it."""
        expected = self.clip.sentence.teacher_seconds
        return abs(self.clip.seconds - expected) / expected

    def as_json(self) -> dict[str, Any]:
        """Return what JSON gets of it: all but the samples."""
        return {
            "text": self.clip.sentence.text, "seed": self.clip.seed, "recognised": self.recognised,
            "errors": self.word_errors.errors, "words": self.word_errors.words,
            "seconds": round(self.clip.seconds, 2), "teacher_seconds": self.clip.sentence.teacher_seconds,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measurement:
    """All readings of one condition."""

    readings: tuple[Reading, ...]
    real_time_factor: float

    @property
    def word_error_rates(self) -> dict[int, float]:
        """Word error rate of each seed: errors of all sentences per word of all sentences."""
        totals: dict[int, WordErrors] = {}
        for reading in self.readings:
            seed = reading.clip.seed
            totals[seed] = totals.get(seed, WordErrors(0, 0)) + reading.word_errors
        return {seed: total.rate for seed, total in totals.items()}

    @property
    def word_error_rate(self) -> float:
        """Mean over the seeds."""
        return fmean(self.word_error_rates.values())

    @property
    def right_length_share(self) -> float:
        """Share of the clips whose length is within LENGTH_TOLERANCE of the teacher's."""
        return fmean(reading.length_error <= LENGTH_TOLERANCE for reading in self.readings)

    @property
    def mean_length_error(self) -> float:
        """Mean difference from the teacher's length, as a share of it."""
        return fmean(reading.length_error for reading in self.readings)

    def same_audio_share(self, other: Measurement) -> float:
        """Share of the clips whose samples equal those of `other` within SAME_AUDIO_TOLERANCE."""
        pairs = zip(self.readings, other.readings, strict=True)
        return fmean(_largest_difference(ours.clip, theirs.clip) <= SAME_AUDIO_TOLERANCE for ours, theirs in pairs)

    def same_bits_share(self, other: Measurement) -> float:
        """Share of the clips whose samples are exactly those of `other`."""
        pairs = zip(self.readings, other.readings, strict=True)
        return fmean(_largest_difference(ours.clip, theirs.clip) == 0 for ours, theirs in pairs)

    def as_json(self) -> dict[str, Any]:
        """Return figures and readings."""
        return {
            "word_error_rate": round(self.word_error_rate, 4),
            "word_error_rates": {str(seed): round(rate, 4) for seed, rate in self.word_error_rates.items()},
            "right_length_share": round(self.right_length_share, 4),
            "mean_length_error": round(self.mean_length_error, 4),
            "real_time_factor": round(self.real_time_factor, 4),
            "readings": [reading.as_json() for reading in self.readings],
        }


def _largest_difference(first: Clip, second: Clip) -> float:
    if len(first.samples) != len(second.samples):
        return float("inf")
    return float(np.abs(first.samples - second.samples).max(initial=0.0))


def read_all(spoken: Spoken, recogniser: Recogniser, on_reading: Callable[[], None] = lambda: None) -> Measurement:
    """Recognise every clip and count its word errors."""
    readings = []
    for clip in spoken.clips:
        recognised = recogniser.recognise(clip.samples, clip.rate_hz)
        readings.append(Reading(clip, recognised, count_word_errors(clip.sentence.spoken, recognised)))
        on_reading()
    return Measurement(tuple(readings), spoken.real_time_factor)
