"""Splits a text into sentences to be spoken one after the other, for Chinese, English and mixtures.

Knows: that wrapped lines are one, that short sentences join a neighbour, that long ones are cut, and what stands behind
each. Nothing but white space is lost: the sentences, joined, are the text.
Does not know: tokens, models or seconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from voxfleet_inference.text.sentence_cutting import cut_spans, weight
from voxfleet_inference.text.sentence_ends import WIDE, sentence_spans
from voxfleet_inference.text.text_lines import lines_of

__all__ = [
    "MAX_WEIGHT",
    "MIN_WEIGHT",
    "End",
    "Span",
    "TextSentence",
    "is_short",
    "join_short",
    "spans_of",
    "split",
    "spoken_text",
    "weight",
]
MAX_WEIGHT: Final = 300
MIN_WEIGHT: Final = 12
_SPACES: Final = re.compile(r"\s+")


class End(enum.Enum):
    """What stands behind a sentence, which decides how long a reader pauses."""

    CLAUSE = "clause"  # its other half: it was too long for one breath
    SENTENCE = "sentence"
    LINE = "line"
    PARAGRAPH = "paragraph"  # an empty line


_INSIDE_A_LINE: Final = frozenset({End.CLAUSE, End.SENTENCE})


@dataclass(frozen=True, slots=True)
class TextSentence:
    """What is spoken in one breath, and what stands behind it."""

    text: str
    end: End = End.SENTENCE


@dataclass(frozen=True, slots=True)
class Span:
    """A sentence as places in its text."""

    start: int
    stop: int
    end: End


def split(text: str, max_weight: int = MAX_WEIGHT, min_weight: int = MIN_WEIGHT) -> tuple[TextSentence, ...]:
    """The sentences of a text, none heavier than `max_weight`; short ones join their neighbour of the same line."""
    spans = spans_of(text, max_weight, min_weight)
    return tuple(TextSentence(spoken_text(text[span.start : span.stop]), span.end) for span in spans)


def spans_of(text: str, max_weight: int = MAX_WEIGHT, min_weight: int = MIN_WEIGHT) -> list[Span]:
    """The sentences of a text, as places in it; what lies between them is white space."""
    found: list[Span] = []
    for line in lines_of(text):
        spans = [
            part
            for start, stop in sentence_spans(text, line.start, line.end)
            for part in _parts(text, start, stop, max_weight)
        ]
        joined = join_short(text, spans, min_weight, max_weight)
        after = End.PARAGRAPH if line.before_empty else End.LINE
        found += [*joined[:-1], *(replace(last, end=after) for last in joined[-1:])]
    return _join_marks(text, found, max_weight)


def spoken_text(written: str) -> str:
    """What the model reads: white space is one space, and none where a Chinese line was wrapped."""

    def instead(found: re.Match[str]) -> str:
        before, after = written[found.start() - 1], written[found.end()]
        is_wrapped = any(each in found.group() for each in "\r\n")
        return "" if is_wrapped and WIDE.match(before) and WIDE.match(after) else " "

    written = written.strip()
    return _SPACES.sub(instead, written)


def _parts(text: str, start: int, stop: int, max_weight: int) -> Iterator[Span]:
    """A sentence without the white space around it, cut if it is too long."""
    start += len(text[start:stop]) - len(text[start:stop].lstrip())
    stop = start + len(text[start:stop].rstrip())
    for at, until in cut_spans(text, start, stop, max_weight):
        if text[at:until].strip():
            yield Span(at, until, End.SENTENCE if until == stop else End.CLAUSE)


def join_short(text: str, spans: list[Span], min_weight: int = MIN_WEIGHT, max_weight: int = MAX_WEIGHT) -> list[Span]:
    """The same sentences, those too short to be spoken well together with a neighbour of their line."""
    joined: list[Span] = []
    for span in spans:
        if joined and _belong_together(text, joined[-1], span, min_weight, max_weight):
            joined[-1] = Span(joined[-1].start, span.stop, span.end)
        else:
            joined.append(span)
    return joined


def is_short(text: str, span: Span, min_weight: int = MIN_WEIGHT) -> bool:
    """Whether a sentence would rather have a neighbour, and may get one."""
    return span.end in _INSIDE_A_LINE and weight(text[span.start : span.stop].strip()) < min_weight


def _belong_together(text: str, left: Span, right: Span, min_weight: int, max_weight: int) -> bool:
    if left.end not in _INSIDE_A_LINE or weight(text[left.start : right.stop]) > max_weight:
        return False
    return min(weight(text[each.start : each.stop].strip()) for each in (left, right)) < min_weight


def _join_marks(text: str, spans: list[Span], max_weight: int) -> list[Span]:
    """What has neither letter nor digit is no sentence: it joins the one before it, or the one after."""
    joined: list[Span] = []
    for span in spans:
        is_mute = joined and not (_has_words(text, joined[-1]) and _has_words(text, span))
        if is_mute and weight(text[joined[-1].start : span.stop]) <= max_weight:
            joined[-1] = Span(joined[-1].start, span.stop, span.end)
        else:
            joined.append(span)
    return joined


def _has_words(text: str, span: Span) -> bool:
    return any(each.isalnum() for each in text[span.start : span.stop])
