"""Cuts a sentence that is too long for one breath: at a clause, else at a space, else anywhere sensible.

Knows: how heavy a text is to speak, which marks end a clause, and what must not be torn (a number, a word, a character
with its accents).
Does not know: where sentences end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from voxfleet_inference.text.sentence_ends import CLOSERS, WIDE

WIDE_WEIGHT: Final = 3  # a Chinese character is spoken about as long as three Latin letters
_CLOSING: Final = f"[{re.escape(CLOSERS)}]*"
# From the best place to cut to the worst; a Latin mark counts only with a space behind it, so numbers, times and
# addresses stay whole.
_PLACES: Final = (
    re.compile(rf"(?:[。！？；…]|[;.!?](?={_CLOSING}\s)){_CLOSING}"),
    re.compile(rf"(?:[，、：—]|[,:](?={_CLOSING}\s)|\s[-–](?=\s)){_CLOSING}"),
    re.compile(r"\s+"),
)
_LEAST_PART: Final = 0.4  # of what fits; a cut nearer to the beginning would leave a stump


def weight(text: str) -> int:
    """How much there is to speak: one per character, three per wide one."""
    return len(text) + (WIDE_WEIGHT - 1) * len(WIDE.findall(text))


def cut_spans(text: str, start: int, end: int, max_weight: int) -> Iterator[tuple[int, int]]:
    """The parts of a sentence, as places, none heavier than `max_weight`; about equal where the text allows."""
    if weight(text[start:end]) <= max_weight:
        yield start, end
        return
    weights = [0, *accumulate(WIDE_WEIGHT if WIDE.match(each) else 1 for each in text[start:end])]
    at, total = 0, len(weights) - 1
    while weights[total] - weights[at] > max_weight:
        parts = -(-(weights[total] - weights[at]) // max_weight)
        ideal = _reach(weights, at, (weights[total] - weights[at]) / parts)
        fitting = max(at + 1, _reach(weights, at, max_weight))
        cut = _place(text, start + at, start + ideal, start + fitting) - start
        yield start + at, start + cut
        at = cut
    yield start + at, end


def _reach(weights: list[int], at: int, room: float) -> int:
    """How far a part may go that begins at `at` and has so much room."""
    low, high = at, len(weights) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weights[middle] - weights[at] <= room else (low, middle - 1)
    return low


def _place(text: str, at: int, ideal: int, fitting: int) -> int:
    """The best place to cut after `at` and not after `fitting`."""
    earliest = at + max(1, int(_LEAST_PART * (fitting - at)))
    for pattern in _PLACES:
        ends = [found.end() for found in pattern.finditer(text, at, fitting) if found.end() >= earliest]
        if ends:
            return min(ends, key=lambda place: abs(place - ideal))
    return next((place for place in range(fitting, earliest, -1) if _can_part(text, place)), fitting)


def _can_part(text: str, place: int) -> bool:
    """Whether the characters on both sides of a place can be parted."""
    before, after = text[place - 1], text[place] if place < len(text) else ""
    if not after or unicodedata.combining(after) or after in "\u200d\ufe0f" or before == "\u200d":
        return False
    return not (_is_word(before) and _is_word(after))


def _is_word(character: str) -> bool:
    return character.isalnum() and not WIDE.match(character)
