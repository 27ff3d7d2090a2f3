"""Splits a text into sentences, the sequences of the engine, for Chinese, English and mixtures.

Knows: wrapped lines are one line, short sentences are joined with a neighbour, long ones are cut, and the break after
each. Only white space is lost: the sentences, joined, are the text.
Does not know: tokens, models or seconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from voxfleet_protocols.spoken_text import has_speech

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
MAX_WEIGHT: Final = 300  # about 20 s of speech; bounds the KV extent of a sequence
MIN_WEIGHT: Final = 12  # shorter sentences ("Oh!") sound better together with a neighbour
_SPACES: Final = re.compile(r"\s+")


class End(enum.Enum):
    """The break after a sentence, which decides the pause."""

    CLAUSE = "clause"  # it was cut, and continues
    SENTENCE = "sentence"
    LINE = "line"
    PARAGRAPH = "paragraph"  # an empty line follows


_INSIDE_A_LINE: Final = frozenset({End.CLAUSE, End.SENTENCE})


@dataclass(frozen=True, slots=True)
class TextSentence:
    """A sentence, or a part of a long one, the break after it, and the silence that the text asks for before it."""

    text: str
    end: End = End.SENTENCE
    pause_before_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """A sentence as text[start:stop], and the break after it."""

    start: int
    stop: int
    end: End


def split(text: str, max_weight: int = MAX_WEIGHT, min_weight: int = MIN_WEIGHT) -> tuple[TextSentence, ...]:
    """Return the sentences of a text, none heavier than `max_weight`; short ones are joined within their line."""
    spans = spans_of(text, max_weight, min_weight)
    return tuple(TextSentence(spoken_text(text[span.start : span.stop]), span.end) for span in spans)


def spans_of(text: str, max_weight: int = MAX_WEIGHT, min_weight: int = MIN_WEIGHT) -> list[Span]:
    """Return the sentences of a text as spans; between them is white space alone."""
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


def spoken_text(text: str) -> str:
    """Return the text for the model: white space becomes one space, and none where a Chinese line was wrapped."""

    def replacement(found: re.Match[str]) -> str:
        before, after = stripped[found.start() - 1], stripped[found.end()]
        is_wrapped = any(each in found.group() for each in "\r\n")
        return "" if is_wrapped and WIDE.match(before) and WIDE.match(after) else " "

    stripped = text.strip()
    return _SPACES.sub(replacement, stripped)


def _parts(text: str, start: int, stop: int, max_weight: int) -> Iterator[Span]:
    """Yield text[start:stop] without the white space around it, cut if it is too long."""
    start += len(text[start:stop]) - len(text[start:stop].lstrip())
    stop = start + len(text[start:stop].rstrip())
    for at, until in cut_spans(text, start, stop, max_weight):
        if text[at:until].strip():
            yield Span(at, until, End.SENTENCE if until == stop else End.CLAUSE)


def join_short(text: str, spans: list[Span], min_weight: int = MIN_WEIGHT, max_weight: int = MAX_WEIGHT) -> list[Span]:
    """Return the sentences, those lighter than `min_weight` joined with a neighbour of their line."""
    joined: list[Span] = []
    for span in spans:
        if joined and _belong_together(text, joined[-1], span, min_weight, max_weight):
            joined[-1] = Span(joined[-1].start, span.stop, span.end)
        else:
            joined.append(span)
    return joined


def is_short(text: str, span: Span, min_weight: int = MIN_WEIGHT) -> bool:
    """Return whether a sentence is light enough to be joined and its line continues."""
    return span.end in _INSIDE_A_LINE and weight(text[span.start : span.stop].strip()) < min_weight


def _belong_together(text: str, left: Span, right: Span, min_weight: int, max_weight: int) -> bool:
    if left.end not in _INSIDE_A_LINE or weight(text[left.start : right.stop]) > max_weight:
        return False
    return min(weight(text[each.start : each.stop].strip()) for each in (left, right)) < min_weight


def _join_marks(text: str, spans: list[Span], max_weight: int) -> list[Span]:
    """Return the sentences, those without letter and digit joined with the one before, or else the one after."""
    joined: list[Span] = []
    for span in spans:
        is_mute = joined and not all(has_speech(text[each.start : each.stop]) for each in (joined[-1], span))
        if is_mute and weight(text[joined[-1].start : span.stop]) <= max_weight:
            joined[-1] = Span(joined[-1].start, span.stop, span.end)
        else:
            joined.append(span)
    return joined
