"""The lines of a text as a reader sees them: those that were only wrapped are one.

Knows: columns, list items, headings, empty lines.
Does not know: sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.text.sentence_cutting import weight
from voxfleet_inference.text.sentence_ends import CLOSERS, WIDE

# A line as long as a column, or a Chinese one of so many characters, was wrapped if it ends in the middle.
_COLUMN: Final = range(50, 201)
_WIDE_COLUMN: Final = range(75, 201)
_ENDED: Final = re.compile(rf"[.!?:;。！？：；…—|][{re.escape(CLOSERS)}]*$")
_ABBREVIATED: Final = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Rev|Capt|Col|Gen|vs|[A-Z])\.$")
_OWN_LINE: Final = re.compile(
    r"\s*(?:[-*+•·‣▪–—>|#]|\d{1,3}[.)、．]|[(（]?[a-zA-Z\d一二三四五六七八九十]{1,3}[)）、]|```|~~~|={3}|_{3})"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text, as places in it."""

    start: int
    end: int
    before_empty: bool  # an empty line follows


def lines_of(text: str) -> Iterator[Line]:
    """The lines that hold anything."""
    begun: int | None = None
    end, empty_follows, before = 0, False, ""
    at = 0
    for written in text.splitlines(keepends=True):
        start, at = at, at + len(written)
        line = written.strip()
        if not line:
            empty_follows = begun is not None
            continue
        if begun is not None and (empty_follows or not _goes_on(before, written)):
            yield Line(begun, end, empty_follows)
            begun = None
        begun = start if begun is None else begun
        end, empty_follows, before = at, False, line
    if begun is not None:
        yield Line(begun, end, empty_follows)


def _goes_on(stripped: str, following: str) -> bool:
    """Whether a line was wrapped in the middle of a sentence, which the following one finishes."""
    if _OWN_LINE.match(following) or stripped.startswith("#"):
        return False
    if _ENDED.search(stripped) and not _ABBREVIATED.search(stripped):
        return False
    first = following.lstrip()[0]
    if WIDE.match(stripped[-1]) or WIDE.match(first):
        return weight(stripped) in _WIDE_COLUMN
    return weight(stripped) in _COLUMN or (first.islower() and weight(stripped) > _COLUMN.start // 2)
