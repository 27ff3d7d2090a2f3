"""One request's speech: its sentences through the engine, in order, as a stream of events.

Knows: with a voice, sentences decode in parallel; without one, the first sentence becomes the voice of the others,
unless the checkpoint has a single speaker.
Closing the generator early cancels the sentences that are left.
Does not know: HTTP, formats or the fields of a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Sentence, SequenceParams, VoicePrompt
from voxfleet_inference.speech.assembly import Assembly
from voxfleet_inference.speech.events import SpeechEvent
from voxfleet_inference.speech.sentence_run import SentenceRun
from voxfleet_inference.text.reading import TextReader
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
    voice_name: str = ""  # for the log: a built-in voice or an id
    single_speaker: bool = False  # without a voice, no sentence waits for the first one to become it
    max_parallel_sentences: int = 1
    max_buffered_patches: int = 400
    is_whole: bool = False  # each sentence is sent only once it has ended, and every runaway is retried
    normalizes: bool = False  # spell out numbers and signs, sentence by sentence
    first_index: int = 0  # index of its first sentence; earlier speeches of a live session count on
    # Of each of its sequences, except the rank and the seconds that are left when it is submitted.
    params: SequenceParams = field(default_factory=SequenceParams)
    attempts: tuple[int, ...] = ()  # in a replay: the attempt of each sentence that counted, from the log

    def sentence(self, index: int, text: str, voice: VoicePrompt | None, remaining_seconds: float | None) -> Sentence:
        """Return the sequence of one sentence; seed, index and attempt are the key of its noise."""
        return Sentence(
            sequence_id=0,  # EngineClient sets it
            text=text,
            seed=self.seed,
            sentence_index=index,
            attempt=dict(enumerate(self.attempts, self.first_index)).get(index, 1) - 1,
            cfg_value=self.cfg_value,
            inference_timesteps=self.inference_timesteps,
            prompt=voice,
            params=replace(self.params, rank=index, deadline_seconds=remaining_seconds),
        )


async def speak(
    engine: EngineClient,
    speech: Speech,
    sample_rate: int,
    more: AsyncIterable[TextSentence] | None = None,
    on_voice: Callable[[VoicePrompt], None] | None = None,
) -> AsyncGenerator[SpeechEvent]:
    """Yield the events of `speech`, then those of the sentences that `more` yields, as they arrive.

    If the speech has no voice, `on_voice` is called with the one derived from its first sentence.

    Raises:
        EngineError: a sentence failed; the speech ends.
    """
    submitter = _SentenceSubmitter(engine, speech, _joined(speech.sentences, more), on_voice)
    assembly = Assembly(sample_rate, speech.first_index)
    try:
        while (run := await submitter.next_run()) is not None:
            async with aclosing(_sentence_events(assembly, run)) as events:
                async for event in events:
                    yield event
    finally:
        await submitter.close()


async def _sentence_events(assembly: Assembly, run: SentenceRun) -> AsyncGenerator[SpeechEvent]:
    has_begun = False
    async with aclosing(run.patches()) as patches:
        async for patch in patches:
            if not has_begun:
                has_begun = True
                for event in assembly.begin(run.text_sentence):
                    yield event
            yield assembly.add_patch(patch)
    if has_begun:
        text_tokens = run.ended.text_tokens if run.ended is not None else 0
        yield assembly.end(text_tokens=text_tokens, attempts=run.attempts, spoken_text=run.sentence.text)


class _SentenceSubmitter:
    """Submits sentences to the engine ahead of the client, up to `max_parallel_sentences` at a time."""

    def __init__(
        self,
        engine: EngineClient,
        speech: Speech,
        sentences: AsyncIterator[TextSentence],
        on_voice: Callable[[VoicePrompt], None] | None,
    ) -> None:
        request_id = speech.params.request_id or engine.new_request_id()
        self._engine, self._speech = engine, replace(speech, params=replace(speech.params, request_id=request_id))
        self._on_voice = on_voice
        self._parallel = asyncio.Semaphore(speech.max_parallel_sentences)
        self._runs: asyncio.Queue[SentenceRun | None] = asyncio.Queue()
        self._open: deque[SentenceRun] = deque()  # the first one is being sent
        self._next_index = speech.first_index
        self._reader = TextReader()
        self._has_current = False
        self._started_at = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._submit_all(sentences))

    async def next_run(self) -> SentenceRun | None:
        """Close the current sentence and return the next one in order; None after the last.

        Raises:
            EngineError: the next sentence could not be submitted.
        """
        if self._has_current:
            self._open.popleft().close()
            self._parallel.release()
        run = await self._runs.get()
        self._has_current = run is not None
        if run is None:
            self._task.result()  # raises what ended the submitting early
        return run

    async def close(self) -> None:
        """Cancel the sentences that are left."""
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task
        for run in self._open:
            run.close()

    async def _submit_all(self, sentences: AsyncIterator[TextSentence]) -> None:
        voice, first, derives = self._speech.voice, None, not self._speech.single_speaker
        try:
            async for text_sentence in sentences:
                if derives and voice is None and first is not None:
                    voice = await self._derived_voice(first)
                    if voice is None:
                        return  # the first sentence failed; its `patches` raises the error to the caller
                await self._parallel.acquire()
                run = self._submit(text_sentence, await self._spoken_text(text_sentence), voice)
                first = first or run
            # A live session needs the voice for its next speech, even if this one had a single sentence.
            if derives and voice is None and first is not None and self._on_voice is not None:
                await self._derived_voice(first)
        finally:
            self._runs.put_nowait(None)

    async def _derived_voice(self, first: SentenceRun) -> VoicePrompt | None:
        voice = await first.voice()
        if voice is not None and self._on_voice is not None:
            self._on_voice(voice)
        return voice

    async def _spoken_text(self, text_sentence: TextSentence) -> str:
        text = text_sentence.text
        return await asyncio.to_thread(self._reader.spoken_text, text) if self._speech.normalizes else text

    def _submit(self, text_sentence: TextSentence, text: str, voice: VoicePrompt | None) -> SentenceRun:
        run = SentenceRun(
            self._engine,
            text_sentence,
            self._speech.sentence(self._next_index, text, voice, self._remaining_seconds()),
            is_whole=self._speech.is_whole,
            max_waiting_patches=self._speech.max_buffered_patches,
            may_retry=not self._speech.attempts,
        )
        self._next_index += 1
        self._open.append(run)
        self._runs.put_nowait(run)
        return run

    def _remaining_seconds(self) -> float | None:
        """Return what is left of the request's time; at least a millisecond, so that the engine reports the expiry."""
        deadline_seconds = self._speech.params.deadline_seconds
        if deadline_seconds is None:
            return None
        elapsed = asyncio.get_running_loop().time() - self._started_at
        return max(_LEAST_SECONDS, deadline_seconds - elapsed)


async def _joined(
    sentences: tuple[TextSentence, ...], more: AsyncIterable[TextSentence] | None
) -> AsyncGenerator[TextSentence]:
    for text_sentence in sentences:
        yield text_sentence
    if more is not None:
        async for text_sentence in more:
            yield text_sentence
