"""One request's speech: its sentences through the engine, in order, as a stream of events.

Knows: that sentences decode side by side when there is a voice, and that without one the first sentence becomes the
voice of the others. Leaving the iteration early cancels whatever is left.
Does not know: HTTP, formats or what a request looks like.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final

from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Sentence, VoicePrompt
from voxfleet_inference.speech.assembling import Assembly
from voxfleet_inference.speech.events import SpeechEvent
from voxfleet_inference.speech.sentence_run import SentenceRun
from voxfleet_inference.text.normalizing import normalized
from voxfleet_inference.text.plain_text import plain_text
from voxfleet_inference.text.sentences import TextSentence

_LEAST_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What to speak: sentences in order, one seed, one voice."""

    sentences: tuple[TextSentence, ...]
    seed: int
    cfg_value: float
    inference_timesteps: int
    voice: VoicePrompt | None
    max_parallel_sentences: int = 1
    max_buffered_patches: int = 400
    is_whole: bool = False  # nothing is heard before the end, so every sentence may be said again
    normalizes: bool = False  # write out numbers and signs, sentence by sentence
    first_index: int = 0  # the number of its first sentence, when other speeches of the same session came before
    request_id: int = 0
    priority: int = 0
    speed: float = 1.0
    deadline_seconds: float | None = None
    attempts: tuple[int, ...] = ()  # what is repeated from a log: the attempt at each sentence that counted

    def sentence(self, index: int, text: str, voice: VoicePrompt | None) -> Sentence:
        """The sequence of one sentence; the noise is keyed by its place in the text."""
        return Sentence(
            sequence_id=0,  # given by the client
            text=text,
            seed=self.seed,
            sentence_index=index,
            attempt=dict(enumerate(self.attempts, self.first_index)).get(index, 1) - 1,
            cfg_value=self.cfg_value,
            inference_timesteps=self.inference_timesteps,
            prompt=voice,
            rank=index,
            request_id=self.request_id,
            priority=self.priority,
            speed=self.speed,
            deadline_seconds=self.deadline_seconds,
        )


async def speak(
    engine: EngineClient,
    speech: Speech,
    sample_rate: int,
    more: AsyncIterable[TextSentence] | None = None,
    on_voice: Callable[[VoicePrompt], None] | None = None,
) -> AsyncGenerator[SpeechEvent]:
    """Speak the sentences of `speech`, then those that `more` brings, as they come.

    Without a voice, `on_voice` is told the one that the first sentence gave to those after it.

    Raises:
        EngineError: a sentence failed; nothing more is spoken.
    """
    submitting = _Submitting(engine, speech, _joined(speech.sentences, more), on_voice)
    assembly = Assembly(sample_rate, speech.first_index)
    try:
        while (run := await submitting.next_run()) is not None:
            async with aclosing(_said(assembly, run)) as events:
                async for event in events:
                    yield event
    finally:
        await submitting.close()


async def _said(assembly: Assembly, run: SentenceRun) -> AsyncGenerator[SpeechEvent]:
    has_begun = False
    async with aclosing(run.patches()) as patches:
        async for patch in patches:
            if not has_begun:
                has_begun = True
                for event in assembly.begin(run.written):
                    yield event
            yield assembly.patch(patch)
    if has_begun:
        text_tokens = run.ended.text_tokens if run.ended is not None else 0
        yield assembly.end(text_tokens=text_tokens, attempts=run.attempts)


class _Submitting:
    """Gives sentences to the engine ahead of whoever listens, so many at a time."""

    def __init__(
        self,
        engine: EngineClient,
        speech: Speech,
        sentences: AsyncIterator[TextSentence],
        on_voice: Callable[[VoicePrompt], None] | None,
    ) -> None:
        request_id = speech.request_id or engine.new_request_id()
        self._engine, self._speech = engine, replace(speech, request_id=request_id)
        self._on_voice = on_voice
        self._room = asyncio.Semaphore(speech.max_parallel_sentences)
        self._runs: asyncio.Queue[SentenceRun | None] = asyncio.Queue()
        self._open: deque[SentenceRun] = deque()  # its first is the one that is heard
        self._next_index = speech.first_index
        self._is_hearing = False
        self._started_at = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._submit_all(sentences))

    async def next_run(self) -> SentenceRun | None:
        """The next sentence in order, which frees the place of the one before; None after the last.

        Raises:
            EngineError: it could not be submitted.
        """
        if self._is_hearing:
            self._open.popleft().close()
            self._room.release()
        run = await self._runs.get()
        self._is_hearing = run is not None
        if run is None:
            self._task.result()
        return run

    async def close(self) -> None:
        """Cancel whatever is left."""
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task
        for run in self._open:
            run.close()

    async def _submit_all(self, sentences: AsyncIterator[TextSentence]) -> None:
        voice, first = self._speech.voice, None
        try:
            async for written in sentences:
                if voice is None and first is not None:
                    voice = await self._voice_of(first)
                    if voice is None:
                        return  # the first one failed, which whoever listens is told
                await self._room.acquire()
                run = self._submit(written, await self._spoken(written), voice)
                first = first or run
            if voice is None and first is not None and self._on_voice is not None:
                await self._voice_of(first)
        finally:
            self._runs.put_nowait(None)

    async def _voice_of(self, first: SentenceRun) -> VoicePrompt | None:
        voice = await first.voice()
        if voice is not None and self._on_voice is not None:
            self._on_voice(voice)
        return voice

    async def _spoken(self, written: TextSentence) -> str:
        return await asyncio.to_thread(_written_out, written.text) if self._speech.normalizes else written.text

    def _submit(self, written: TextSentence, text: str, voice: VoicePrompt | None) -> SentenceRun:
        sentence = self._speech.sentence(self._next_index, text, voice)
        run = SentenceRun(
            self._engine,
            written,
            replace(sentence, deadline_seconds=self._remaining_seconds()),
            is_held=self._speech.is_whole,
            max_waiting_patches=self._speech.max_buffered_patches,
            may_retry=not self._speech.attempts,
        )
        self._next_index += 1
        self._open.append(run)
        self._runs.put_nowait(run)
        return run

    def _remaining_seconds(self) -> float | None:
        """What is left of the request's time; a sentence that comes too late still gets an answer from the engine."""
        if self._speech.deadline_seconds is None:
            return None
        elapsed = asyncio.get_running_loop().time() - self._started_at
        return max(_LEAST_SECONDS, self._speech.deadline_seconds - elapsed)


def _written_out(text: str) -> str:
    """In words; live text still has its marks."""
    return normalized(plain_text(text))


async def _joined(
    sentences: tuple[TextSentence, ...], more: AsyncIterable[TextSentence] | None
) -> AsyncGenerator[TextSentence]:
    for written in sentences:
        yield written
    if more is not None:
        async for written in more:
            yield written
