"""Speech of the demo voice's teacher, whose word bounds are known exactly: hibari predicts a duration for each phone.

Knows: that a row of hibari's parameters is a sub-frame of the latent grid, and how late the audio is behind it.
Does not know: methods.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from voxfleet_voice.teacher.alignment import MARKS, SILENCE, Segment, segments
from voxfleet_voice.teacher.grid import FRAMES_PER_SECOND, LAG_SUBFRAMES, SAMPLE_RATE_HZ, SUBFRAMES
from voxfleet_voice.teacher.hibari_voice import HibariVoice
from voxfleet_voice.teacher.synthesis import synthesize
from voxfleet_voice.texts.sampler import draw_text
from voxfleet_voice.texts.word_list import WordList, load_word_list

RATE_HZ = SAMPLE_RATE_HZ
AUDIBLE = 0.01  # of the peak: -40 dB
_ROWS_PER_SECOND = FRAMES_PER_SECOND * SUBFRAMES


@dataclass(frozen=True, slots=True)
class Reference:
    """A sentence, its audio, and when each of its words is spoken."""

    text: str
    samples: NDArray[np.float32]  # [samples]
    rate_hz: int
    words: tuple[str, ...]
    starts: NDArray[np.float64]  # [words], seconds
    ends: NDArray[np.float64]  # [words], seconds


def spoken_by_teacher(texts: list[str]) -> Iterator[Reference]:
    """Yield each text that the teacher can speak and align word by word; others are left out."""
    with tempfile.TemporaryDirectory() as folder:
        voice = HibariVoice(Path(folder))
        for text in texts:
            spoken = _reference(text, voice)
            if spoken is not None:
                yield spoken


def drawn_texts(count: int, seed: int) -> list[str]:
    """Return texts of the grammar that the voice was trained on, with a final mark each."""
    words, source = load_word_list(), random.Random(seed)  # noqa: S311 - the same texts for the same seed
    return [_one_text(words, source) for _ in range(count)]


def _one_text(words: WordList, source: random.Random) -> str:
    return draw_text(words, source).sentences[0].spoken


def _reference(text: str, voice: HibariVoice) -> Reference | None:
    phonemes = voice.phonemes(text)
    if phonemes is None:
        return None
    parameters, durations = voice.parameters(phonemes)
    found = segments(text, phonemes, durations, 0)
    if found is None:
        return None
    words = tuple(text.split(" "))
    bounds = np.array([_bounds(found, text, index) for index in range(len(words))])
    seconds, samples = (bounds + LAG_SUBFRAMES) / _ROWS_PER_SECOND, synthesize(parameters)
    seconds[-1, 1] = min(seconds[-1, 1], _audible_until(samples))  # hibari gives its last phone the silence behind it
    return Reference(text, samples, RATE_HZ, words, seconds[:, 0], seconds[:, 1])


def _audible_until(samples: NDArray[np.float32]) -> float:
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE * np.abs(samples).max())
    return float(loud[-1] + 1) / RATE_HZ


def _bounds(found: list[Segment], text: str, index: int) -> tuple[int, int]:
    """Return the rows of a word's phones, without the silence of its marks."""
    words = text.split(" ")
    first = sum(len(word) + 1 for word in words[:index])
    own = [
        each
        for each in found
        if first <= each.character < first + len(words[index]) and each.symbol not in MARKS and each.symbol != SILENCE
    ]
    return own[0].start, own[-1].stop
