"""The text of a session on its way to be spoken.

Knows: sentences that are complete, the beginning of one that is not, and the bound on both together.
Does not know: sockets, engines or voices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.text.sentence_buffer import SentenceBuffer
from voxfleet_inference.text.sentences import TextSentence


class LiveText:
    """Text goes in as it is written; sentences come out to whoever speaks."""

    def __init__(self, max_characters: int) -> None:
        self._max_characters = max_characters
        self._buffer = SentenceBuffer()
        self._complete: asyncio.Queue[TextSentence | None] = asyncio.Queue()  # None: nothing comes any more
        self._complete_characters = 0
        self.has_ended = False
        self.sentences_taken = 0
        self.first_sentence_at: float | None = None  # on the event loop's clock

    @property
    def has_sentences(self) -> bool:
        """Whether one is complete and nobody has taken it."""
        return self._complete_characters > 0

    def append(self, text: str) -> None:
        """Take more text.

        Raises:
            InvalidFieldError: too much waits; none of this text was taken.
        """
        waiting = self._buffer.waiting_characters + self._complete_characters
        if waiting + len(text) > self._max_characters:
            message = (
                f"'text' must leave at most {self._max_characters} characters waiting to be spoken; {waiting} wait and"
                f" {len(text)} were given, none of which was taken: send them again later, or cancel"
            )
            raise InvalidFieldError(message, param="text", code="too_long")
        self._put(self._buffer.append(text))

    def flush(self) -> None:
        """What waits for its sentence's end is a sentence."""
        self._put(self._buffer.flush())

    def end(self) -> None:
        """Nothing comes any more."""
        if not self.has_ended:
            self.flush()
            self.has_ended = True
            self._complete.put_nowait(None)

    def forget(self) -> None:
        """Drop everything that waits."""
        self._buffer.flush()
        while not self._complete.empty():
            self._complete.get_nowait()
        self._complete_characters = 0
        if self.has_ended:
            self._complete.put_nowait(None)

    async def sentences(self) -> AsyncGenerator[TextSentence]:
        """Sentences, as they become complete, until the text has ended; another reader may follow a cancelled one."""
        while (sentence := await self._complete.get()) is not None:
            self._complete_characters -= len(sentence.text)
            self.sentences_taken += 1
            yield sentence
        self._complete.put_nowait(None)

    def _put(self, sentences: Iterable[TextSentence]) -> None:
        for sentence in sentences:
            if self.first_sentence_at is None:
                self.first_sentence_at = asyncio.get_running_loop().time()
            self._complete_characters += len(sentence.text)
            self._complete.put_nowait(sentence)
