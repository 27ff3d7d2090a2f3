"""Text that comes in pieces, given out sentence by sentence: for whoever types, or a language model that writes.

Knows: that a sentence has ended only once the word after it shows so, and that an endless one is cut all the same.
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
    """`append` gives the sentences that are complete, `flush` whatever is left."""

    def __init__(self, max_weight: int = MAX_WEIGHT) -> None:
        self._max_weight = max_weight
        self._text = ""

    @property
    def waiting_characters(self) -> int:
        """How much has not been given out."""
        return len(self._text)

    def append(self, text: str) -> tuple[TextSentence, ...]:
        """Take more text; the last sentence stays until a whole word follows it."""
        self._text += text
        return self._give(self._complete(spans_of(self._text, self._max_weight, min_weight=0)))

    def flush(self) -> tuple[TextSentence, ...]:
        """All that waits, whether it is complete or not."""
        given = self._give(spans_of(self._text, self._max_weight))
        self._text = ""
        return given

    def _give(self, spans: list[Span]) -> tuple[TextSentence, ...]:
        given = tuple(TextSentence(spoken_text(self._text[span.start : span.stop]), span.end) for span in spans)
        if spans:
            self._text = self._text[spans[-1].stop :]
        return given

    def _complete(self, spans: list[Span]) -> list[Span]:
        """Those that what follows cannot change any more, without a short one that waits for its neighbour."""
        if not spans:
            return []
        complete, last = spans[:-1], spans[-1]
        if not _shows_a_beginning(self._text[last.start :]):
            complete = complete[:-1]
        while complete and complete[-1].end is End.CLAUSE and not self._is_overlong(complete):
            complete = complete[:-1]  # where it is cut depends on how it goes on
        joined = join_short(self._text, complete, max_weight=self._max_weight)
        return joined[:-1] if joined and is_short(self._text, joined[-1]) else joined

    def _is_overlong(self, before: list[Span]) -> bool:
        return weight(self._text[before[-1].start :]) >= 2 * self._max_weight


def _shows_a_beginning(rest: str) -> bool:
    return WIDE.match(rest) is not None or _WHOLE_WORD.match(rest) is not None
