"""Makes voices that can speak: from a recording's file, from a seed, and the built-in one.

Knows: the sentence that a voice without a recording is made from, and that decoding files belongs into a thread.
Does not know: names, ids, disks or requests.
"""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np

from voxfleet_inference.audio.recordings import Recording, read_recording
from voxfleet_inference.engine.client import EngineClient, EngineError
from voxfleet_inference.engine.messages import Sentence, VoicePrompt
from voxfleet_inference.speech.sentence_run import SentenceRun
from voxfleet_inference.text.sentences import TextSentence

# The built-in voice is what the checkpoint says to this with seed 0, so it is the same on every server.
BUILT_IN_VOICE_TEXT: Final = "Hello, this is the voice that you are going to hear."
ANCHOR_MAX_STEPS: Final = 32
MAX_DESIGNED_STEPS: Final = 188  # 30 s, as of a recording


class SampleTooLongError(Exception):
    """A designed voice's sample went on and on; its text would not be what it says."""


async def built_in_voice(engine: EngineClient) -> VoicePrompt:
    """Speak the anchor sentence, to nobody.

    Raises:
        EngineError: it could not be spoken.
    """
    anchor = Sentence(sequence_id=0, text=BUILT_IN_VOICE_TEXT, seed=0, max_steps=ANCHOR_MAX_STEPS)
    latents = [patch.latents async for patch in engine.speak(anchor, ANCHOR_MAX_STEPS + 1)]
    return VoicePrompt(BUILT_IN_VOICE_TEXT, np.stack(latents))


async def decoded_recording(file: bytes) -> Recording:
    """The recording that a file holds.

    Raises:
        RecordingError: there is none, or it is too short or too long.
    """
    return await asyncio.to_thread(read_recording, file)


async def recorded_voice(recording: Recording, transcript: str, engine: EngineClient) -> VoicePrompt:
    """Continue a recording.

    Raises:
        VoiceError: the engine cannot use it.
        VoiceBusyError: the engine reads too many others.
    """
    return VoicePrompt(transcript, await engine.encode_voice(recording.samples, recording.sample_rate))


async def designed_voice(text: str, seed: int, engine: EngineClient) -> VoicePrompt:
    """Speak a sentence with a voice that the seed draws; said again when it went wrong.

    Raises:
        SampleTooLongError: it takes longer than a recording may.
        EngineError: it could not be spoken.
    """
    max_steps = ANCHOR_MAX_STEPS if text == BUILT_IN_VOICE_TEXT else MAX_DESIGNED_STEPS
    sentence = Sentence(sequence_id=0, text=text, seed=seed, max_steps=max_steps)
    run = SentenceRun(engine, TextSentence(text), sentence, is_held=True, max_waiting_patches=max_steps)
    try:
        voice = await run.voice()
        if voice is None:
            raise run.error or EngineError("the sentence made no sound")
        if text != BUILT_IN_VOICE_TEXT and run.ended is not None and run.ended.patches >= max_steps:
            raise SampleTooLongError(f"it took {run.attempts} attempts and more than {max_steps} patches")
        return voice
    finally:
        run.close()
