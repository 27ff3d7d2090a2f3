"""One request's speech: its sentences through the engine, in order, as patches of samples.

Knows: that sentences decode side by side when there is a voice, and that without one the first sentence becomes the
voice of the others. Leaving the iteration early cancels whatever is left.
Does not know: HTTP, formats or what a request looks like.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from voxfleet_inference.engine.client import EngineClient, SequenceStream
from voxfleet_inference.engine.messages import Float32Array, Sentence, VoicePrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What to speak: sentences in order, one seed, one voice."""

    sentences: tuple[str, ...]
    seed: int
    cfg_value: float
    inference_timesteps: int
    voice: VoicePrompt | None
    max_parallel_sentences: int = 1
    max_buffered_patches: int = 400

    def sentence(self, index: int, voice: VoicePrompt | None) -> Sentence:
        """The sequence of one sentence; the noise is keyed by its place in the text."""
        return Sentence(
            sequence_id=0,  # given by the client
            text=self.sentences[index],
            seed=self.seed,
            sentence_index=index,
            cfg_value=self.cfg_value,
            inference_timesteps=self.inference_timesteps,
            prompt=voice,
            rank=index,
        )


async def speak(engine: EngineClient, speech: Speech) -> AsyncGenerator[Float32Array]:
    """The samples of the whole text, patch by patch [patch_samples]."""
    anchored = speech
    if speech.voice is None and len(speech.sentences) > 1:
        latents: list[Float32Array] = []
        async with aclosing(_first_sentence(engine, speech, latents)) as patches:
            async for samples in patches:
                yield samples
        anchored = replace(speech, voice=VoicePrompt(speech.sentences[0], np.stack(latents)))
    async with aclosing(_side_by_side(engine, anchored, start=int(anchored is not speech))) as patches:
        async for samples in patches:
            yield samples


async def _first_sentence(
    engine: EngineClient, speech: Speech, latents: list[Float32Array]
) -> AsyncGenerator[Float32Array]:
    stream = engine.speak(speech.sentence(0, None), speech.max_buffered_patches)
    try:
        async for patch in stream:
            latents.append(patch.latents)
            yield patch.samples
    finally:
        stream.close()


async def _side_by_side(engine: EngineClient, speech: Speech, start: int) -> AsyncGenerator[Float32Array]:
    upcoming = deque(range(start, len(speech.sentences)))
    streams: deque[SequenceStream] = deque()
    try:
        while upcoming or streams:
            while upcoming and len(streams) < speech.max_parallel_sentences:
                sentence = speech.sentence(upcoming.popleft(), speech.voice)
                streams.append(engine.speak(sentence, speech.max_buffered_patches))
            async for patch in streams[0]:
                yield patch.samples
            streams.popleft().close()
    finally:
        for stream in streams:
            stream.close()
