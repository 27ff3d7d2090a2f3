"""Collects live text (typed, or streamed by a language model) and returns its sentences as they become complete.

Knows: the word after a mark decides whether it ends a sentence; a sentence that does not end is cut at a length.
Does not know: clocks, sockets or voices.
"""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.sentence_cutting import weight
from voxfleet_inference.text.sentence_ends import WIDE
from voxfleet_inference.text.sentences import (
    MAX_WEIGHT,
    End,
    Span,
    TextSentence,
    is_short,
    join_short,
    spans_of,
    spoken_text,
)

_WHOLE_WORD: Final = re.compile(r"\s*\S+\s")


class SentenceBuffer:
    """The text that is not complete yet: `append` returns complete sentences, `flush` the rest."""

    def __init__(self, max_weight: int = MAX_WEIGHT) -> None:
        self._max_weight = max_weight
        self._text = ""

    @property
    def waiting_characters(self) -> int:
        """Characters that were not returned yet."""
        return len(self._text)

    def append(self, text: str) -> tuple[TextSentence, ...]:
        """Add text; return the sentences that are complete. The last one stays until a whole word follows it."""
        self._text += text
        return self._take(self._complete(spans_of(self._text, self._max_weight, min_weight=0)))

    def flush(self) -> tuple[TextSentence, ...]:
        """Return the rest as sentences, complete or not."""
        rest = self._take(spans_of(self._text, self._max_weight))
        self._text = ""
        return rest

    def _take(self, spans: list[Span]) -> tuple[TextSentence, ...]:
        taken = tuple(TextSentence(spoken_text(self._text[span.start : span.stop]), span.end) for span in spans)
        if spans:
            self._text = self._text[spans[-1].stop :]
        return taken

    def _complete(self, spans: list[Span]) -> list[Span]:
        """Return the sentences that no further text changes; a short one at the end waits for its neighbour."""
        if not spans:
            return []
        complete, last = spans[:-1], spans[-1]
        if not _has_begun(self._text[last.start :]):
            complete = complete[:-1]
        while complete and complete[-1].end is End.CLAUSE and not self._is_overlong(complete):
            complete = complete[:-1]  # its cut depends on the text that follows
        joined = join_short(self._text, complete, max_weight=self._max_weight)
        return joined[:-1] if joined and is_short(self._text, joined[-1]) else joined

    def _is_overlong(self, before: list[Span]) -> bool:
        return weight(self._text[before[-1].start :]) >= 2 * self._max_weight


def _has_begun(rest: str) -> bool:
    return WIDE.match(rest) is not None or _WHOLE_WORD.match(rest) is not None
