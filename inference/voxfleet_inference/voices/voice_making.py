"""Makes a voice's file: of a recording after the engine has encoded it, or of a seed by what the engine speaks.

Knows: which metadata each type has, and that latents are hashed as little-endian floats.
Does not know: where voices are stored, which are cached, HTTP.
"""

from __future__ import annotations

import time
from typing import Final

from voxfleet_protocols.voice_upload import DesignedVoice, RecordedVoice

from voxfleet_inference.audio.recordings import RecordingError
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import VoiceError
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.voices.file_format import StoredVoice, VoiceMetadata, voice_id
from voxfleet_inference.voices.prompt_builders import (
    BUILT_IN_VOICE_TEXT,
    SampleTooLongError,
    decode_recording,
    designed_prompt,
    recorded_prompt,
)

_LATENT_TYPE: Final = "<f4"  # little-endian on every machine: the bytes are hashed into the id


class UnusableRecordingError(InvalidFieldError):
    """The recording cannot be a voice; `reason` is what is wrong with it, whatever field it came in."""

    def __init__(self, reason: str, *, field_name: str) -> None:
        super().__init__(f"'{field_name}' cannot be used: {reason}", param=field_name, code="invalid")
        self.reason = reason


async def encoded_prompt(file: bytes, transcript: str, engine: EngineClient, *, field_name: str) -> VoicePrompt:
    """Decode and encode a recording; return its prompt.

    Raises:
        UnusableRecordingError: no audio that can be decoded, or audio out of bounds, or none that the model takes.
        VoiceBusyError: the engine encodes too many others.
    """
    try:
        return await recorded_prompt(await decode_recording(file), transcript, engine)
    except (RecordingError, VoiceError) as error:
        raise UnusableRecordingError(str(error), field_name=field_name) from error


def recorded_voice(request: RecordedVoice, patches: int) -> StoredVoice:
    """Return the voice of a recording whose prompt has so many patches."""
    metadata = VoiceMetadata(
        id=voice_id("audio_sample", request.recording, request.transcript),
        name=request.name,
        created_at=int(time.time()),
        type="audio_sample",
        transcript=request.transcript,
        consent=request.consent,
        patches=patches,
        payload_bytes=len(request.recording),
    )
    return StoredVoice(metadata, request.recording)


async def designed_voice(request: DesignedVoice, engine: EngineClient) -> StoredVoice:
    """Speak the sample of a designed voice; return the voice.

    Raises:
        InvalidFieldError: its text takes too long.
        EngineError: the sentence failed.
    """
    text = BUILT_IN_VOICE_TEXT if request.transcript is None else request.transcript
    try:
        prompt = await designed_prompt(text, request.seed, engine)
    except SampleTooLongError as error:
        message = "'transcript' must be what a voice says within 30 seconds; choose a shorter one, or another seed"
        raise InvalidFieldError(message, param="transcript", code="too_long") from error
    payload = prompt.latents.astype(_LATENT_TYPE).tobytes()
    patches, patch_size, feat_dim = prompt.latents.shape
    metadata = VoiceMetadata(
        id=voice_id("seed", payload, text),
        name=request.name,
        created_at=int(time.time()),
        type="seed",
        transcript=text,
        seed=request.seed,
        prompt=request.prompt,
        patches=patches,
        latents_shape=(patches, patch_size, feat_dim),
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)
