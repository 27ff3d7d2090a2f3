"""Joins the lines of a text that were wrapped at a column.

Knows: the usual widths of columns, list items, headings, empty lines.
Does not know: sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.text.sentence_cutting import weight
from voxfleet_inference.text.sentence_ends import CLOSERS, WIDE

# A line was wrapped if it does not end a sentence and its weight is that of a full column (Chinese: 25 to 66 wide).
_COLUMN: Final = range(50, 201)
_WIDE_COLUMN: Final = range(75, 201)
_ENDED: Final = re.compile(rf"[.!?:;。！？：；…—|][{re.escape(CLOSERS)}]*$")
_ABBREVIATED: Final = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Rev|Capt|Col|Gen|vs|[A-Z])\.$")
_OWN_LINE: Final = re.compile(
    r"\s*(?:[-*+•·‣▪–—>|#]|\d{1,3}[.)、．]|[(（]?[a-zA-Z\d一二三四五六七八九十]{1,3}[)）、]|```|~~~|={3}|_{3})"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as text[start:end], wrapped ones joined."""

    start: int
    end: int
    before_empty: bool  # an empty line follows it


def lines_of(text: str) -> Iterator[Line]:
    """Yield the lines that are not empty."""
    begun: int | None = None
    end, empty_follows, before = 0, False, ""
    at = 0
    for raw_line in text.splitlines(keepends=True):
        start, at = at, at + len(raw_line)
        line = raw_line.strip()
        if not line:
            empty_follows = begun is not None
            continue
        if begun is not None and (empty_follows or not _continues(before, raw_line)):
            yield Line(begun, end, empty_follows)
            begun = None
        begun = start if begun is None else begun
        end, empty_follows, before = at, False, line
    if begun is not None:
        yield Line(begun, end, empty_follows)


def _continues(stripped: str, following: str) -> bool:
    """Return whether a line was wrapped inside a sentence that the following line continues."""
    if _OWN_LINE.match(following) or stripped.startswith("#"):
        return False
    if _ENDED.search(stripped) and not _ABBREVIATED.search(stripped):
        return False
    first = following.lstrip()[0]
    if WIDE.match(stripped[-1]) or WIDE.match(first):
        return weight(stripped) in _WIDE_COLUMN
    return weight(stripped) in _COLUMN or (first.islower() and weight(stripped) > _COLUMN.start // 2)
