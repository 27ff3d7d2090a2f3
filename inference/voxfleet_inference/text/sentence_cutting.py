"""Cuts a sentence that is too long to be one sequence: at a clause, else at a space, else between characters.

Knows: the weight of a text (how long it takes to speak), the marks that end a clause, and what is never split (a
number, a word, a character with its accents).
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
# From the best place to cut to the worst. A Latin mark counts only before a space, so that numbers, times and
# addresses are not split.
_PLACES: Final = (
    re.compile(rf"(?:[。！？；…]|[;.!?](?={_CLOSING}\s)){_CLOSING}"),
    re.compile(rf"(?:[，、：—]|[,:](?={_CLOSING}\s)|\s[-–](?=\s)){_CLOSING}"),
    re.compile(r"\s+"),
)
_LEAST_PART: Final = 0.4  # of what fits: an earlier cut would make a very short part


def weight(text: str) -> int:
    """Return how long a text takes to speak: 1 per character, 3 per wide one."""
    return len(text) + (WIDE_WEIGHT - 1) * len(WIDE.findall(text))


def cut_spans(text: str, start: int, end: int, max_weight: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of text[start:end] as (start, end), none heavier than `max_weight`, about equal if possible."""
    if weight(text[start:end]) <= max_weight:
        yield start, end
        return
    weights = [0, *accumulate(WIDE_WEIGHT if WIDE.match(each) else 1 for each in text[start:end])]
    # Equal parts sound better than full ones with a short rest: each cut is the best one near the ideal length.
    at, total = 0, len(weights) - 1
    while weights[total] - weights[at] > max_weight:
        parts = -(-(weights[total] - weights[at]) // max_weight)
        ideal = _reach(weights, at, (weights[total] - weights[at]) / parts)
        fitting = max(at + 1, _reach(weights, at, max_weight))
        cut = _place(text, start + at, start + ideal, start + fitting) - start
        yield start + at, start + cut
        at = cut
    yield start + at, end


def _reach(weights: list[int], at: int, max_weight: float) -> int:
    """Return the end of the longest part from `at` that weighs up to `max_weight`; a binary search in prefix sums."""
    low, high = at, len(weights) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weights[middle] - weights[at] <= max_weight else (low, middle - 1)
    return low


def _place(text: str, at: int, ideal: int, fitting: int) -> int:
    """Return the best place to cut in text[at:fitting], the one nearest to `ideal` of the best kind."""
    earliest = at + max(1, int(_LEAST_PART * (fitting - at)))
    for pattern in _PLACES:
        ends = [found.end() for found in pattern.finditer(text, at, fitting) if found.end() >= earliest]
        if ends:
            return min(ends, key=lambda place: abs(place - ideal))
    return next((place for place in range(fitting, earliest, -1) if _can_split(text, place)), fitting)


def _can_split(text: str, place: int) -> bool:
    """Return whether a cut before text[place] splits neither a character (accents, joined emoji) nor a Latin word."""
    before, after = text[place - 1], text[place] if place < len(text) else ""
    if not after or unicodedata.combining(after) or after in "\u200d\ufe0f" or before == "\u200d":
        return False
    return not (_is_word(before) and _is_word(after))


def _is_word(character: str) -> bool:
    return character.isalnum() and not WIDE.match(character)
