"""Builds voice prompts with the engine: of the built-in voice, of a recording, of a seed.

Knows: the text that a voice without a recording says, and that files are decoded in a thread.
Does not know: names, ids, files or requests.
"""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np

from voxfleet_inference.audio.recordings import Recording, read_recording
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.engine.messages import Sentence, VoicePrompt
from voxfleet_inference.speech.sentence_run import SentenceRun
from voxfleet_inference.text.sentences import TextSentence

# The built-in voice is what the checkpoint makes of this text with seed 0, so it is the same on every server.
BUILT_IN_VOICE_TEXT: Final = "Hello, this is the voice that you are going to hear."  # words: speech
BUILT_IN_MAX_STEPS: Final = 32  # patches, 5 s: a fixed cut, whatever the checkpoint makes of the text
MAX_DESIGNED_STEPS: Final = 188  # patches, 30 s: the longest recording


class SampleTooLongError(Exception):
    """A designed voice did not end its text within 30 s; text and latents of the prompt would not match."""


async def built_in_prompt(engine: EngineClient) -> VoicePrompt:
    """Speak the text of the built-in voice; return its prompt.

    Raises:
        EngineError: the sentence failed.
    """
    sentence = Sentence(sequence_id=0, text=BUILT_IN_VOICE_TEXT, seed=0, max_steps=BUILT_IN_MAX_STEPS)
    latents = [patch.latents async for patch in engine.speak(sentence, BUILT_IN_MAX_STEPS + 1)]
    return VoicePrompt(BUILT_IN_VOICE_TEXT, np.stack(latents))


async def decode_recording(file: bytes) -> Recording:
    """Decode a recording in a thread.

    Raises:
        RecordingError: the file holds no audio, or audio out of bounds.
    """
    return await asyncio.to_thread(read_recording, file)


async def recorded_prompt(recording: Recording, transcript: str, engine: EngineClient) -> VoicePrompt:
    """Encode a recording in the engine; return its prompt.

    Raises:
        VoiceError: the engine cannot use it.
        VoiceBusyError: the engine encodes too many others.
    """
    return VoicePrompt(transcript, await engine.encode_voice(recording.samples, recording.sample_rate))


async def designed_prompt(text: str, seed: int, engine: EngineClient) -> VoicePrompt:
    """Speak a text without a voice, so that the seed draws one, with retries; return its prompt.

    Raises:
        SampleTooLongError: the text takes longer than the longest recording.
        EngineError: the sentence failed.
    """
    max_steps = BUILT_IN_MAX_STEPS if text == BUILT_IN_VOICE_TEXT else MAX_DESIGNED_STEPS
    sentence = Sentence(sequence_id=0, text=text, seed=seed, max_steps=max_steps)
    run = SentenceRun(engine, TextSentence(text), sentence, is_whole=True, max_waiting_patches=max_steps)
    try:
        prompt = await run.voice()
        if prompt is None:
            raise run.error or EngineError("the sentence has no audio")
        if text != BUILT_IN_VOICE_TEXT and run.ended is not None and run.ended.patches >= max_steps:
            raise SampleTooLongError(f"{run.attempts} attempts; the last one has more than {max_steps} patches")
        return prompt
    finally:
        run.close()
