"""One sentence on its way through the engine, said again when it went wrong and nobody has heard any of it.

Knows: attempts, patches that wait to be heard, and what of them can become a voice.
Does not know: other sentences, pauses, time or HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from voxfleet_inference.engine.client import (
    EngineClient,
    QueueFullError,
    SequenceExpiredError,
    SequenceStream,
)
from voxfleet_inference.engine.messages import Patch, Sentence, SequenceEnded, VoicePrompt
from voxfleet_inference.speech.derived_voice import SpokenPatch, kept_for_a_voice, voice_of
from voxfleet_inference.speech.retrying import wants_another_attempt
from voxfleet_inference.text.sentences import TextSentence

_CLIENT_BACKLOG: Final = 8  # patches left with the engine's client once ours are full; beyond, it parks the sequence


class SentenceRun:
    """A sentence being spoken; `close` cancels whatever is left of it."""

    def __init__(  # noqa: PLR0913 - a sentence, its engine, and four facts about who hears it
        self,
        engine: EngineClient,
        written: TextSentence,
        sentence: Sentence,
        *,
        is_held: bool,
        max_waiting_patches: int,
        may_retry: bool = True,
    ) -> None:
        self.written = written
        self.sentence = sentence  # of the attempt that counts
        self.ended: SequenceEnded | None = None
        self._engine = engine
        self._may_retry = may_retry
        self._is_held = is_held  # nothing is heard before all of it is there
        self._has_been_heard = False
        self._error: Exception | None = None
        self._spoken: list[SpokenPatch] = []
        # A held sentence is bounded by the most patches that its tokens allow.
        self._waiting: asyncio.Queue[Patch | None] = asyncio.Queue(0 if is_held else max_waiting_patches)
        self._finished = asyncio.Event()
        self._stream: SequenceStream = self._submit()
        self._reading = asyncio.create_task(self._read())

    @property
    def error(self) -> Exception | None:
        """Why it could not be said."""
        return self._error

    @property
    def attempts(self) -> int:
        """How many times it was said."""
        return self.sentence.attempt + 1

    async def patches(self) -> AsyncGenerator[Patch]:
        """What there is to hear.

        Raises:
            EngineError: the sentence failed.
        """
        if self._is_held:
            await self._finished.wait()
        while (patch := await self._waiting.get()) is not None:
            self._has_been_heard = True
            yield patch
        if self._error is not None:
            raise self._error

    async def voice(self) -> VoicePrompt | None:
        """What was said, as a voice for other sentences, once all of it is made; None when it failed."""
        await self._finished.wait()
        if self._error is not None or self.ended is None or not self._spoken:
            return None
        return voice_of(self.sentence.text, self._spoken, self.ended.text_tokens)

    def close(self) -> None:
        """Cancel it unless it has ended."""
        self._reading.cancel()
        self._stream.close()

    def _submit(self) -> SequenceStream:
        return self._engine.speak(self.sentence, _CLIENT_BACKLOG)

    async def _read(self) -> None:
        try:
            await self._read_attempts()
        except Exception as error:  # noqa: BLE001 - whoever listens gets it
            self._error = error
        self._finished.set()
        await self._waiting.put(None)

    async def _read_attempts(self) -> None:
        await self._read_stream()
        while self._wants_another_attempt():
            sentence, ended, spoken, patches = self.sentence, self.ended, self._spoken, self._take_back()
            try:
                self.sentence, self._spoken = replace(sentence, attempt=sentence.attempt + 1), []
                self._stream = self._submit()
                await self._read_stream()
            except (QueueFullError, SequenceExpiredError):
                if self._has_been_heard:
                    raise
                self._take_back()  # no room or no time for a better one: a bad one is better than none
                self.sentence, self.ended, self._spoken = sentence, ended, spoken
                for patch in patches:
                    self._waiting.put_nowait(patch)
                return

    def _take_back(self) -> list[Patch]:
        """What nobody has heard yet."""
        patches: list[Patch] = []
        while not self._waiting.empty():
            patch = self._waiting.get_nowait()
            patches += [patch] if patch is not None else []
        return patches

    async def _read_stream(self) -> None:
        async for patch in self._stream:
            if self.sentence.prompt is None:
                self._spoken.append(kept_for_a_voice(patch))
            await self._waiting.put(patch)
        self.ended = self._stream.ended
        self._stream.close()

    def _wants_another_attempt(self) -> bool:
        if self._has_been_heard or self.ended is None or not self._may_retry:
            return False
        voice_patches = 0 if self.sentence.prompt is None else len(self.sentence.prompt.latents)
        return wants_another_attempt(self.attempts, self.ended.patches, self.ended.text_tokens, voice_patches)
