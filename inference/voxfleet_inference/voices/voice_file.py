"""A stored voice as one file, on disk and between servers: a line of JSON, then the recording or the latents.

Knows: the form of the file, and that a voice's id is the hash of what makes it sound as it does, so that a file which
was torn or tampered with is noticed.
Does not know: folders, addresses or engines.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxfleet_inference.engine.messages import Float32Array
from voxfleet_inference.voice_names import VOICE_ID

MAX_NAME_CHARACTERS: Final = 256
MAX_TRANSCRIPT_CHARACTERS: Final = 1000
MAX_CONSENT_CHARACTERS: Final = 1000
MAX_RECORDING_BYTES: Final = 10 * 2**20
MAX_HEADER_BYTES: Final = 16 * 2**10  # all fields at their longest, every character escaped, have 14 thousand
MAX_FILE_BYTES: Final = MAX_HEADER_BYTES + MAX_RECORDING_BYTES

VoiceType = Literal["audio_sample", "seed"]


class VoiceFileError(ValueError):
    """Bytes that are no stored voice, or not the one they claim to be."""


class VoiceFacts(BaseModel):
    """All about a voice but its sound: the file's first line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["voxfleet-voice-1"] = "voxfleet-voice-1"
    id: str = Field(pattern=f"^{VOICE_ID.pattern}$")
    name: str = Field(min_length=1, max_length=MAX_NAME_CHARACTERS)
    created_at: int = Field(ge=0, description="Unix time in seconds")
    type: VoiceType
    transcript: str = Field(min_length=1, max_length=MAX_TRANSCRIPT_CHARACTERS)
    consent: str = Field("", max_length=MAX_CONSENT_CHARACTERS)
    seed: int | None = None
    patches: int = Field(0, ge=0)  # how long its latents are
    latents_shape: tuple[int, int, int] | None = None
    payload_bytes: int = Field(ge=0, le=MAX_RECORDING_BYTES)


@dataclass(frozen=True, slots=True)
class StoredVoice:
    """A voice: its facts, and the recording's file or the latents' bytes."""

    facts: VoiceFacts
    payload: bytes

    @property
    def latents(self) -> Float32Array:
        """Those of a designed voice, [patches, patch_size, feat_dim]."""
        assert self.facts.latents_shape is not None, "a recording has no latents of its own"  # noqa: S101
        return np.frombuffer(self.payload, dtype="<f4").reshape(self.facts.latents_shape).astype(np.float32)


def voice_id(voice_type: VoiceType, payload: bytes, transcript: str) -> str:
    """The id of a voice: what was recorded, and what it says."""
    digest = hashlib.sha256(f"{voice_type} {len(payload)} ".encode())
    digest.update(payload)
    digest.update(transcript.encode())
    return f"voice_{digest.hexdigest()[:32]}"


def to_file(voice: StoredVoice) -> bytes:
    """The voice as one file."""
    return voice.facts.model_dump_json().encode() + b"\n" + voice.payload


def facts_of(header: bytes) -> VoiceFacts:
    """What a file's beginning says.

    Raises:
        VoiceFileError: it is not the beginning of a stored voice.
    """
    line, newline, _ = header[: MAX_HEADER_BYTES + 1].partition(b"\n")
    if not newline:
        raise VoiceFileError("no stored voice: its first line does not end")
    try:
        return VoiceFacts.model_validate_json(line)
    except ValidationError as error:
        raise VoiceFileError(f"no stored voice: {error.error_count()} errors in its first line") from error


def from_file(data: bytes, expected_id: str) -> StoredVoice:
    """The voice that a file holds.

    Raises:
        VoiceFileError: it is none, or not the one with that id.
    """
    facts = facts_of(data)
    payload = data[data.index(b"\n") + 1 :]
    if len(payload) != facts.payload_bytes:
        raise VoiceFileError(f"a torn voice: {len(payload)} bytes of sound where {facts.payload_bytes} belong")
    if facts.id != expected_id or voice_id(facts.type, payload, facts.transcript) != expected_id:
        raise VoiceFileError(f"not the voice {expected_id}: its hash is another")
    shape = facts.latents_shape
    if facts.type == "seed" and (shape is None or min(shape) < 1 or 4 * math.prod(shape) != len(payload)):
        raise VoiceFileError(f"latents of {len(payload)} bytes cannot have the shape {shape}")
    return StoredVoice(facts, payload)
