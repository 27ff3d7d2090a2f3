"""One sentence through the engine: its patches, retries of a runaway, and the voice that it becomes.

Knows: attempts, patches that were not sent yet, and the patches from which a voice is derived. Whether a runaway is
retried depends on the request alone, never on how fast its audio is decoded or read (decision 12).
Does not know: other sentences, pauses, time or HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Patch, Sentence, SequenceEnded, VoicePrompt
from voxfleet_inference.engine.streams import SequenceStream
from voxfleet_inference.speech.derived_voice import VoicePatch, derive_voice, voice_patch
from voxfleet_inference.speech.retry_policy import should_retry
from voxfleet_inference.text.sentences import TextSentence

_CLIENT_BACKLOG: Final = 8  # unread patches in EngineClient, once this queue is full, at which it parks the sequence


class SentenceRun:
    """Reads one sentence from the engine into a queue; `close` cancels what is left of it.

    With `is_whole`, `patches` yields nothing before the sentence has ended, and every runaway is retried. Without it
    patches are yielded as they are decoded, and none is retried.
    """

    def __init__(  # noqa: PLR0913 - a sentence, its engine, and three facts about how it is sent
        self,
        engine: EngineClient,
        text_sentence: TextSentence,
        sentence: Sentence,
        *,
        is_whole: bool,
        max_waiting_patches: int,
        may_retry: bool = True,
    ) -> None:
        self.text_sentence = text_sentence
        self.sentence = sentence  # of the attempt that counts
        self.ended: SequenceEnded | None = None
        self._engine = engine
        self._is_whole = is_whole
        self._may_retry = may_retry and is_whole
        self._error: Exception | None = None
        self._voice_patches: list[VoicePatch] = []
        # Unbounded for a whole sentence, which nothing reads before its end; its tokens bound its patches.
        self._waiting: asyncio.Queue[Patch | None] = asyncio.Queue(0 if is_whole else max_waiting_patches)
        self._finished = asyncio.Event()
        self._stream: SequenceStream = self._submit()
        self._reading = asyncio.create_task(self._read())

    @property
    def error(self) -> Exception | None:
        """Why the sentence failed; None while it has not."""
        return self._error

    @property
    def attempts(self) -> int:
        """How many attempts were made, up to the one that counts."""
        return self.sentence.attempt + 1

    async def patches(self) -> AsyncGenerator[Patch]:
        """Yield the patches of the attempt that counts, in order.

        Raises:
            EngineError: the sentence failed.
        """
        if self._is_whole:
            await self._finished.wait()
        while (patch := await self._waiting.get()) is not None:
            yield patch
        if self._error is not None:
            raise self._error

    async def voice(self) -> VoicePrompt | None:
        """Wait for the end; return the sentence as a voice for others, None if it failed or had a voice itself."""
        await self._finished.wait()
        if self._error is not None or self.ended is None or not self._voice_patches:
            return None
        return derive_voice(self.sentence.text, self._voice_patches, self.ended.text_tokens)

    def close(self) -> None:
        """Cancel the sentence unless it has ended."""
        self._reading.cancel()
        self._stream.close()

    def _submit(self) -> SequenceStream:
        return self._engine.speak(self.sentence, _CLIENT_BACKLOG)

    async def _read(self) -> None:
        try:
            await self._read_attempts()
        except Exception as error:  # noqa: BLE001 - `patches` raises it to its caller
            self._error = error
        self._finished.set()
        await self._waiting.put(None)

    async def _read_attempts(self) -> None:
        await self._read_stream()
        while self._should_retry():
            self._drop_patches()
            self.sentence = replace(self.sentence, attempt=self.sentence.attempt + 1)
            self._stream = self._submit()
            await self._read_stream()

    def _drop_patches(self) -> None:
        """Forget the attempt before."""
        self._voice_patches = []
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def _read_stream(self) -> None:
        async for patch in self._stream:
            if self.sentence.prompt is None:
                self._voice_patches.append(voice_patch(patch))
            await self._waiting.put(patch)
        self.ended = self._stream.ended
        self._stream.close()

    def _should_retry(self) -> bool:
        if self.ended is None or not self._may_retry:
            return False
        voice_patches = 0 if self.sentence.prompt is None else len(self.sentence.prompt.latents)
        return should_retry(self.attempts, self.ended.patches, self.ended.text_tokens, voice_patches)
