"""A text becomes one training utterance: features, pitch steps, phones, pointers into the text, and audio if asked for.

Knows: how two sentences are joined, how much silence is left around speech.
Does not know: latents, files or batches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxfleet_voice.codec.features import features_of
from voxfleet_voice.teacher.alignment import Segment, align, segments
from voxfleet_voice.teacher.grid import SUBFRAMES
from voxfleet_voice.teacher.hibari_voice import Floats, HibariVoice, Parameters
from voxfleet_voice.teacher.pitch import Periods, periods_per_frame
from voxfleet_voice.teacher.synthesis import on_grid, synthesize
from voxfleet_voice.texts.sampler import Sentence, Text, draw_text
from voxfleet_voice.texts.word_list import WordList

_LEAD_ROWS: Final = 6  # silence kept before speech, 12.5 ms each
_TAIL_ROWS: Final = 12
_PADS_BEHIND_MARK: Final = 3  # durations behind the last phone: the mark, and the pad
_MARKS: Final = ".?!"


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text with what the teacher makes of it, one row per latent frame of 40 ms."""

    written: str
    features: Floats  # [frames, 162]
    periods: Periods  # [frames]
    phones: NDArray[np.uint8]  # [frames], hibari's phoneme id at the middle of the frame
    pointers: NDArray[np.int16]  # [frames, 3], the character of `written` being spoken
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class _Spoken:
    parameters: Parameters
    segments: list[Segment]


def draw_utterance(voice: HibariVoice, words: WordList, source: random.Random) -> Utterance:
    """Return the utterance of a random text, the first one that the teacher can speak and align."""
    while True:
        utterance = utterance_of(draw_text(words, source), voice)
        if utterance is not None:
            return utterance


def utterance_of(text: Text, voice: HibariVoice) -> Utterance | None:
    """Speak a text, or return None where its words and its phonemes do not match one to one."""
    parts = [_spoken(sentence, voice) for sentence in text.sentences]
    spoken = [part for part in parts if part is not None]
    if len(spoken) != len(parts):
        return None
    parameters = _joined([part.parameters for part in spoken])
    grid = on_grid(parameters)
    aligned = align(list(_shifted(text, spoken)), len(grid), len(text.written))
    ids = [voice.phoneme_ids[symbol] for symbol in aligned.symbols[SUBFRAMES // 2 :: SUBFRAMES]]
    return Utterance(
        text.written,
        features_of(parameters),
        periods_per_frame(grid.pitch_hz),
        np.array(ids, np.uint8),
        aligned.characters.reshape(-1, SUBFRAMES),
        parameters,
    )


def audio_of(utterance: Utterance) -> Floats:
    """Return the audio: [frames x 1764] samples."""
    return synthesize(utterance.parameters)


def _spoken(sentence: Sentence, voice: HibariVoice) -> _Spoken | None:
    phonemes = voice.phonemes(sentence.spoken)
    if phonemes is None:
        return None
    parameters, durations = voice.parameters(phonemes)
    start = max(0, int(durations[0]) - _LEAD_ROWS)
    behind = _PADS_BEHIND_MARK if phonemes[-1] in _MARKS else _PADS_BEHIND_MARK - 1
    stop = min(len(parameters), int(np.cumsum(durations)[-behind]) + _TAIL_ROWS)
    found = segments(sentence.written, phonemes, durations, start)
    return None if found is None else _Spoken(parameters.rows(start, stop), found)


def _joined(parts: list[Parameters]) -> Parameters:
    return Parameters(
        np.concatenate([part.harmonic for part in parts]),
        np.concatenate([part.noise for part in parts]),
        np.concatenate([part.pitch_hz for part in parts]),
    )


def _shifted(text: Text, parts: list[_Spoken]) -> Iterator[Segment]:
    """Yield all segments with rows and characters counted over the whole utterance."""
    row = character = 0
    for sentence, part in zip(text.sentences, parts, strict=True):
        rows = len(part.parameters)
        for each in part.segments:
            stop = min(each.stop, rows)
            yield Segment(each.symbol, each.character + character, each.start + row, stop + row)
        row += rows
        character += len(sentence.written) + len(text.separator)
