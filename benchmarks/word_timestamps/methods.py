"""The methods that are compared, from the simplest to the server's.

Knows: each method's use of text and audio. Does not know: references, errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from voxfleet_inference.speech.words.loudness import Loudness
from voxfleet_inference.speech.words.placement import Bounds, ExpectedWord, by_share
from voxfleet_inference.speech.words.timing import expected_words, word_times
from voxfleet_inference.speech.words.word_spans import words_of

QUIET = 0.01  # -40 dB of full scale
Seconds = NDArray[np.float64]
Method = Callable[[str, NDArray[np.float32], int], tuple[Seconds, Seconds]]


def characters(text: str, samples: NDArray[np.float32], rate_hz: int) -> tuple[Seconds, Seconds]:
    """Divide the whole audio by characters."""
    return _shared(_by_characters(text), 0, len(samples), rate_hz)


def trimmed_characters(text: str, samples: NDArray[np.float32], rate_hz: int) -> tuple[Seconds, Seconds]:
    """Divide what lies between the silence at both ends by characters."""
    return _shared(_by_characters(text), *_trimmed(samples), rate_hz)


def expected_lengths(text: str, samples: NDArray[np.float32], rate_hz: int) -> tuple[Seconds, Seconds]:
    """Divide what lies between the silence at both ends by expected seconds."""
    return _shared(expected_words(text, text), *_trimmed(samples), rate_hz)


def placed(text: str, samples: NDArray[np.float32], rate_hz: int) -> tuple[Seconds, Seconds]:
    """Place the words by loudness and expected seconds, as the server does."""
    loudness = Loudness(rate_hz)
    loudness.add(samples)
    found = word_times(text, text, loudness.decibels(), loudness.frame_seconds)
    return np.array([each.start_seconds for each in found]), np.array([each.end_seconds for each in found])


METHODS: Mapping[str, Method] = {
    "characters, whole audio": characters,
    "characters, silence cut off": trimmed_characters,
    "expected lengths, silence cut off": expected_lengths,
    "loudness and expected lengths": placed,
}


def _by_characters(text: str) -> list[ExpectedWord]:
    return [ExpectedWord(float(len(word)), pauses_after=False) for word in words_of(text)]


def _trimmed(samples: NDArray[np.float32]) -> tuple[int, int]:
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(samples))


def _shared(words: list[ExpectedWord], start: int, stop: int, rate_hz: int) -> tuple[Seconds, Seconds]:
    found: list[Bounds] = by_share(words, start, stop)
    return np.array([each.start for each in found]) / rate_hz, np.array([each.stop for each in found]) / rate_hz
