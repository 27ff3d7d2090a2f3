"""The text of a session that is yet to be spoken.

Knows: complete sentences, the incomplete one at the end, and the limit on both together. Text without speech (emoji or
punctuation alone) is dropped, and the text of a session that normalizes is split at pause marks.
Does not know: sockets, engines or voices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator

from voxfleet_protocols.spoken_text import has_speech

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.text.pause_marks import PauseSplitter
from voxfleet_inference.text.sentence_buffer import SentenceBuffer
from voxfleet_inference.text.sentences import TextSentence


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
        self._sentences_put = 0  # complete ones, without those that a cancel dropped
        self._flushes: deque[int] = deque()  # for each flush, how many sentences came before it
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
            given = f"{waiting} wait and {len(text)} were given" if waiting else f"{len(text)} were given"
            remedy = "send them again later, or cancel" if waiting else "send fewer at once"
            message = f"at most {self._max_characters} characters of 'text' may wait to be spoken; {given}: {remedy}"
            raise InvalidFieldError(message, param="text", code="too_long")
        self._put(self._buffer.append(text))

    def flush(self) -> None:
        """Make the incomplete sentence a complete one, and remember the place for `flushed_by`."""
        self._put(self._buffer.flush())
        self._pauses = PauseSplitter()
        self._flushes.append(self._sentences_put)

    def flushed_by(self, sentences_spoken: int) -> int:
        """Return how many flushes are done now that so many sentences were spoken; each is counted once."""
        done = 0
        while self._flushes and self._flushes[0] <= sentences_spoken:
            self._flushes.popleft()
            done += 1
        return done

    def end(self) -> None:
        """Flush, and end `sentences()` after the last one."""
        if not self.has_ended:
            self.flush()
            self._flushes.pop()  # the end of the session answers for this one
            self.has_ended = True
            self._complete.put_nowait(None)

    def clear(self) -> None:
        """Drop all waiting text."""
        self._buffer.flush()
        self._pauses = PauseSplitter()
        while not self._complete.empty():
            self._complete.get_nowait()
        self._complete_characters = 0
        self._sentences_put = self.sentences_taken
        self._flushes.clear()
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
            self._sentences_put += 1
            self._complete.put_nowait(sentence)

    def _parts(self, sentences: Iterable[TextSentence]) -> Iterator[TextSentence]:
        for sentence in sentences:
            if self.has_pauses:
                yield from self._pauses.parts(sentence)
            elif has_speech(sentence.text):
                yield sentence
