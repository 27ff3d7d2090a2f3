"""Text that comes in pieces, given out sentence by sentence: for whoever types, or a language model that writes.

Knows: that a sentence is complete only once what follows it shows that it has ended, and a bound on what may wait.
Does not know: clocks, sockets or voices.
"""

from __future__ import annotations

from voxfleet_inference.text.sentences import MAX_WEIGHT, TextSentence, split, weight


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
        """Take more text; the last sentence stays until something follows it."""
        self._text += text
        if weight(self._text) <= 1:
            return ()
        *complete, last = split(self._text, self._max_weight) or (TextSentence(""),)
        if complete:
            self._text = self._text[self._text.rindex(last.text) :] if last.text else ""
        return tuple(complete)

    def flush(self) -> tuple[TextSentence, ...]:
        """All that waits, whether it is complete or not."""
        complete = split(self._text, self._max_weight)
        self._text = ""
        return complete
