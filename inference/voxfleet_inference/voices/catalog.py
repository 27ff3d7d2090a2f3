"""Whose voice speaks: the built-in one, a fresh one, or that of a recording.

Knows: the names of voices, and the sentence that the built-in voice is made from.
Does not know: requests' other fields, or how latents are made.
"""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np

from voxfleet_inference.audio.recordings import RecordingError, read_recording
from voxfleet_inference.engine.client import EngineClient, VoiceError
from voxfleet_inference.engine.messages import Sentence, VoicePrompt
from voxfleet_inference.server.errors import InvalidFieldError
from voxfleet_inference.server.speech_request import SpeechRequest, recording_bytes

VOICES: Final = ("default", "random")
# The built-in voice is what the checkpoint says to this with seed 0, so it is the same on every server.
ANCHOR_TEXT: Final = "Hello, this is the voice that you are going to hear."
ANCHOR_MAX_STEPS: Final = 32


class Voices:
    """The voices of one server."""

    def __init__(self) -> None:
        self._default: VoicePrompt | None = None

    async def make_default(self, engine: EngineClient) -> None:
        """Speak the anchor sentence, to nobody; it also warms every code path.

        Raises:
            EngineError: it could not be spoken.
        """
        anchor = Sentence(sequence_id=0, text=ANCHOR_TEXT, seed=0, max_steps=ANCHOR_MAX_STEPS)
        latents = [patch.latents async for patch in engine.speak(anchor, ANCHOR_MAX_STEPS + 1)]
        self._default = VoicePrompt(ANCHOR_TEXT, np.stack(latents))

    async def choose(self, request: SpeechRequest, engine: EngineClient) -> VoicePrompt | None:
        """The voice to continue; None lets the seed draw one.

        Raises:
            InvalidFieldError: there is no such voice, or the recording cannot be used.
            VoiceBusyError: too many recordings are being read.
        """
        if request.reference_audio is not None and request.reference_text is not None:
            return await _cloned(request.reference_audio, request.reference_text, engine)
        if request.voice not in VOICES:
            message = f"'voice' must be one of {', '.join(VOICES)}; given {request.voice[:40]!r}"
            raise InvalidFieldError(message, param="voice", code="voice_not_found")
        return self._default if request.voice == "default" else None


async def _cloned(reference_audio: str, reference_text: str, engine: EngineClient) -> VoicePrompt:
    try:
        recording = await asyncio.to_thread(read_recording, recording_bytes(reference_audio))
        latents = await engine.encode_voice(recording.samples, recording.sample_rate)
    except (RecordingError, VoiceError) as error:
        message = f"'reference_audio' cannot be used: {error}"
        raise InvalidFieldError(message, param="reference_audio", code="invalid") from error
    return VoicePrompt(reference_text, latents)
