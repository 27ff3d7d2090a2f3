"""The file format of a stored voice or consent, on disk and between servers: a line of JSON, then recording or latents.

Knows: the layout, and that a voice's id is the hash of its payload and transcript (a consent's of its payload and
language), which reveals a truncated or changed file.
Does not know: folders, addresses or engines.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from voxfleet_protocols.voice_upload import (
    MAX_CONSENT_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    MAX_RECORDING_BYTES,
    MAX_TRANSCRIPT_CHARACTERS,
)

from voxfleet_inference.engine.messages import Float32Array
from voxfleet_inference.voice_names import CONSENT_ID, VOICE_ID

MAX_HEADER_BYTES: Final = 16 * 2**10  # name, transcript, and consent or prompt, every character escaped, take 14 kB
MAX_FILE_BYTES: Final = MAX_HEADER_BYTES + MAX_RECORDING_BYTES

VoiceType = Literal["audio_sample", "seed", "consent"]


class VoiceFileError(ValueError):
    """The bytes are no stored voice, or not the one with the expected id."""


class VoiceMetadata(BaseModel):
    """The first line of the file, as JSON: everything about a voice but its payload."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a later version may add fields

    format: Literal["voxfleet-voice-1"] = "voxfleet-voice-1"
    id: str = Field(pattern=f"^({VOICE_ID.pattern}|{CONSENT_ID.pattern})$")
    name: str = Field(min_length=1, max_length=MAX_NAME_CHARACTERS)
    created_at: int = Field(ge=0, description="Unix time in seconds")
    type: VoiceType
    transcript: str = Field("", max_length=MAX_TRANSCRIPT_CHARACTERS)
    consent: str = Field("", max_length=MAX_CONSENT_CHARACTERS)
    language: str = Field("", max_length=MAX_LANGUAGE_CHARACTERS)  # of what a consent says
    prompt: str = Field("", max_length=MAX_PROMPT_CHARACTERS)  # from which the seed was made
    seed: int | None = None
    patches: int = Field(0, ge=0)  # length of its latents
    latents_shape: tuple[int, int, int] | None = None
    payload_bytes: int = Field(ge=0, le=MAX_RECORDING_BYTES)

    @property
    def hashed_text(self) -> str:
        """What is hashed into the id beside the payload."""
        return self.language if self.type == "consent" else self.transcript


@dataclass(frozen=True, slots=True)
class StoredVoice:
    """A voice: its metadata, and the bytes of the recording's file or of the latents."""

    metadata: VoiceMetadata
    payload: bytes

    @property
    def latents(self) -> Float32Array:
        """Latents [patches, patch_size, feat_dim] of a designed voice."""
        assert self.metadata.latents_shape is not None, "a recording has no latents of its own"  # noqa: S101
        return np.frombuffer(self.payload, dtype="<f4").reshape(self.metadata.latents_shape).astype(np.float32)


def voice_id(voice_type: VoiceType, payload: bytes, text: str) -> str:
    """Return the id of a voice or a consent: 128 bits of the SHA-256 of its type, payload and text."""
    # The length keeps a byte from moving between payload and text without changing the hash.
    digest = hashlib.sha256(f"{voice_type} {len(payload)} ".encode())
    digest.update(payload)
    digest.update(text.encode())
    return f"{'cons' if voice_type == 'consent' else 'voice'}_{digest.hexdigest()[:32]}"


def serialize_voice(voice: StoredVoice) -> bytes:
    """Return the bytes of a voice's file."""
    return voice.metadata.model_dump_json().encode() + b"\n" + voice.payload


def parse_metadata(header: bytes) -> VoiceMetadata:
    """Return the metadata at the beginning of a file; `header` may end anywhere after the first line.

    Raises:
        VoiceFileError: it is not the beginning of a stored voice.
    """
    line, newline, _ = header[: MAX_HEADER_BYTES + 1].partition(b"\n")
    if not newline:
        raise VoiceFileError(f"no stored voice: its first line does not end within {MAX_HEADER_BYTES} bytes")
    try:
        return VoiceMetadata.model_validate_json(line)
    except ValidationError as error:
        raise VoiceFileError(f"no stored voice: {error.error_count()} errors in its first line") from error


def parse_voice(data: bytes, expected_id: str) -> StoredVoice:
    """Return the voice in a file, after checking its length, its hash and the shape of its latents.

    Raises:
        VoiceFileError: it is no stored voice, or not the one with that id.
    """
    metadata = parse_metadata(data)
    payload = data[data.index(b"\n") + 1 :]
    if len(payload) != metadata.payload_bytes:
        raise VoiceFileError(f"the payload has {len(payload)} bytes and must have {metadata.payload_bytes}")
    if metadata.id != expected_id or voice_id(metadata.type, payload, metadata.hashed_text) != expected_id:
        raise VoiceFileError(f"not the voice {expected_id}: its hash is another one")
    shape = metadata.latents_shape
    if metadata.type == "seed" and (shape is None or min(shape) < 1 or 4 * math.prod(shape) != len(payload)):
        raise VoiceFileError(f"latents of {len(payload)} bytes cannot have the shape {shape}")
    return StoredVoice(metadata, payload)
