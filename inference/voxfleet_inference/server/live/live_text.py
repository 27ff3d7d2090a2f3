"""The text of a session that is yet to be spoken.

Knows: complete sentences, the incomplete one at the end, and the limit on both together. Text without speech (emoji or
punctuation alone) is dropped, and the text of a session that normalizes is split at pause marks.
Does not know: sockets, engines or voices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.text.pause_marks import PauseSplitter
from voxfleet_inference.text.sentence_buffer import SentenceBuffer
from voxfleet_inference.text.sentences import TextSentence, has_speech


class LiveText:
    """A queue: text goes in as it arrives, sentences come out for `SessionSpeech`."""

    def __init__(self, max_characters: int) -> None:
        self._max_characters = max_characters
        self._buffer = SentenceBuffer()
        self._pauses = PauseSplitter()
        self.has_pauses = False  # whether pause marks are pauses
        self._complete: asyncio.Queue[TextSentence | None] = asyncio.Queue()  # None: the text has ended
        self._complete_characters = 0
        self.has_ended = False
        self.sentences_taken = 0
        self.first_sentence_at: float | None = None  # on the event loop's clock

    @property
    def has_sentences(self) -> bool:
        """Whether a complete sentence waits."""
        return self._complete_characters > 0

    def append(self, text: str) -> None:
        """Append text.

        Raises:
            InvalidFieldError: with it, more than the limit would wait; none of it was appended.
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
        """Make the incomplete sentence a complete one."""
        self._put(self._buffer.flush())
        self._pauses = PauseSplitter()

    def end(self) -> None:
        """Flush, and end `sentences()` after the last one."""
        if not self.has_ended:
            self.flush()
            self.has_ended = True
            self._complete.put_nowait(None)

    def clear(self) -> None:
        """Drop all waiting text."""
        self._buffer.flush()
        self._pauses = PauseSplitter()
        while not self._complete.empty():
            self._complete.get_nowait()
        self._complete_characters = 0
        if self.has_ended:
            self._complete.put_nowait(None)

    async def sentences(self) -> AsyncGenerator[TextSentence]:
        """Yield sentences until the text has ended; after a cancelled iteration, another one may continue."""
        while (sentence := await self._complete.get()) is not None:
            self._complete_characters -= len(sentence.text)
            self.sentences_taken += 1
            yield sentence
        self._complete.put_nowait(None)  # for the next iteration

    def _put(self, sentences: Iterable[TextSentence]) -> None:
        for sentence in self._parts(sentences):
            if self.first_sentence_at is None:
                self.first_sentence_at = asyncio.get_running_loop().time()
            self._complete_characters += len(sentence.text)
            self._complete.put_nowait(sentence)

    def _parts(self, sentences: Iterable[TextSentence]) -> Iterator[TextSentence]:
        for sentence in sentences:
            if self.has_pauses:
                yield from self._pauses.parts(sentence)
            elif has_speech(sentence.text):
                yield sentence
