"""The words of a sentence as it was typed, and those that are spoken in their place.

A word is what stands between white space, with its marks; a Chinese character or a kana is a word of its own, with the
marks behind it, since such text has no spaces and a segmentation into words would need a dictionary. The words are
parts of the text, in its order, so that a client finds each one in what it sent.

Knows: characters. Does not know: sounds, audio.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

# Han, kana, bopomofo; not Hangul, which is written with spaces.
_ALONE: Final = "\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff"
_IDEOGRAPH: Final = f"[{_ALONE}\U00020000-\U0003ffff]"
_OPENERS: Final = "“‘「『（(《〈[{【¿¡"
_PIECE: Final = re.compile(f"{_IDEOGRAPH}[\u30fc\u3099\u309a]?|(?:(?!{_IDEOGRAPH})\\S)+")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text; marks alone belong to the word before them, opening ones to the word behind them."""
    spans: list[tuple[int, int]] = []
    opening: int | None = None  # where marks begin that belong to the next word
    for piece in _PIECE.finditer(text):
        start, stop = piece.span()
        if any(each.isalnum() for each in piece.group()):
            spans.append((start if opening is None else opening, stop))
            opening = None
        elif opening is None:
            closing = start + len(piece.group().rstrip(_OPENERS)) if spans else start
            if closing > start:
                spans[-1] = (spans[-1][0], closing)
            opening = closing if closing < stop else None
    if spans and opening is not None:
        spans[-1] = (spans[-1][0], len(text.rstrip()))
    return tuple(text[start:stop] for start, stop in spans)


def shares(typed: Sequence[str], spoken: Sequence[str], spoken_seconds: Sequence[float]) -> list[float]:
    """Return the expected seconds of each typed word from those of the spoken ones.

    Normalization keeps the order of words: those that both texts have are the anchors, and what stands between two
    anchors ("$5" typed, "five dollars" spoken) takes the time of what is spoken there, divided evenly between the
    typed words if there are several.
    """
    if len(typed) == len(spoken):
        return list(spoken_seconds)
    seconds = [0.0] * len(typed)
    blocks = _between_anchors([_key(each) for each in typed], [_key(each) for each in spoken])
    for (start, stop), (spoken_start, spoken_stop) in blocks:
        total = sum(spoken_seconds[spoken_start:spoken_stop])
        if start == stop:  # spoken without being typed: the word before it takes the time
            seconds[max(0, start - 1)] += total
        for index in range(start, stop):
            seconds[index] += total / (stop - start)
    return seconds


def _between_anchors(typed: list[str], spoken: list[str]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return ranges that belong together: one word each where both texts have it, else all between two anchors."""
    found: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for tag, start, stop, spoken_start, spoken_stop in SequenceMatcher(None, typed, spoken, False).get_opcodes():
        if tag == "equal":
            found += [
                ((start + step, start + step + 1), (spoken_start + step, spoken_start + step + 1))
                for step in range(stop - start)
            ]
        else:
            found.append(((start, stop), (spoken_start, spoken_stop)))
    return found


def _key(word: str) -> str:
    return "".join(each for each in word.casefold() if each.isalnum()) or word
