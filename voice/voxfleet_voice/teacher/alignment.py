"""Which phoneme sounds, and which character of the text it comes from, in every sub-frame.

Knows: phonemes with durations, and that a word's letters share its phonemes evenly.
Does not know: audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MARKS: Final = frozenset(',.?!;:—…"“”()')  # phoneme symbols that are silence
STRESS: Final = frozenset("ˈˌ")
SILENCE: Final = " "


@dataclass(frozen=True, slots=True)
class Segment:
    """One phoneme symbol, the character that it belongs to, and the rows [start, stop) that it takes."""

    symbol: str
    character: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """Per sub-frame: the phoneme symbol, and the index of the character being spoken."""

    symbols: tuple[str, ...]
    characters: NDArray[np.int16]


def segments(written: str, phonemes: str, durations: NDArray[np.int64], first_row: int) -> list[Segment] | None:
    """Align a text with its phonemes word by word, or return None where their words do not match one to one.

    `durations` has a pad before and behind the phonemes; rows count from `first_row`.
    """
    words, spoken_words = written.split(" "), phonemes.split(" ")
    if len(words) != len(spoken_words):
        return None
    ends = np.cumsum(durations) - first_row
    found: list[Segment] = []
    symbol_index, offset = 1, 0  # index 0 is the pad
    for word, spoken in zip(words, spoken_words, strict=True):
        places = _letter_of_each_symbol(word, spoken)
        if places is None:
            return None
        symbols, indices = spoken, [offset + place for place in places]
        if symbol_index + len(spoken) < len(durations) - 1:
            symbols, indices = spoken + SILENCE, [*indices, offset + len(word)]
        for symbol, character in zip(symbols, indices, strict=True):
            start, stop = int(ends[symbol_index - 1]), int(ends[symbol_index])
            found.append(Segment(symbol, min(character, len(written) - 1), start, stop))
            symbol_index += 1
        offset += len(word) + 1
    return found


def _letter_of_each_symbol(word: str, spoken: str) -> list[int] | None:
    """Spread a word's phonemes over its letters; marks belong to the word's last character."""
    letters = [index for index, character in enumerate(word) if character.isalpha()]
    if not letters:
        return None
    count = max(1, sum(symbol not in MARKS for symbol in spoken))
    share = len(letters) / count
    last = len(word) - 1
    return [
        letters[min(len(letters) - 1, int((index + 0.5) * share))] if index < count else last
        for index in range(len(spoken))
    ]


def align(found: list[Segment], rows: int, characters: int) -> Alignment:
    """Spread segments over sub-frames; silence at both ends belongs to the first and to the last character."""
    symbols = [SILENCE] * rows
    pointers = np.full(rows, -1, np.int16)
    for segment in found:
        for row in range(max(0, segment.start), min(rows, segment.stop)):
            symbols[row] = segment.symbol
            pointers[row] = segment.character
    (known,) = np.nonzero(pointers >= 0)
    pointers[: known[0]] = 0
    pointers[known[-1] + 1 :] = characters - 1
    return Alignment(tuple(_audible(symbols)), pointers)


def _audible(symbols: list[str]) -> list[str]:
    """Give a stress mark's time to the vowel behind it, and make marks silence."""
    following, audible = SILENCE, list(symbols)
    for index in range(len(audible) - 1, -1, -1):
        if audible[index] in STRESS:
            audible[index] = following
        elif audible[index] in MARKS:
            audible[index] = SILENCE
        following = audible[index]
    return audible
