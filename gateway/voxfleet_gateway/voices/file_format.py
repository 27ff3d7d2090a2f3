"""The file of a stored voice or consent: a line of JSON, then the recording or a designed voice's latents. Pure.

Knows: the layout and the ids that the inference server has too (a contract test compares them), and what a gateway
adds: the tenant that owns the voice, whether a server has checked the recording, the model that a designed voice was
made with, and a version by which its copies in several gateways are compared.
Does not know: folders, other gateways, what latents mean.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from voxfleet_protocols.voice_upload import (
    MAX_CONSENT_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    MAX_RECORDING_BYTES,
    MAX_TRANSCRIPT_CHARACTERS,
)

from voxfleet_gateway.decisions.voice_names import CONSENT_ID, VOICE_ID, is_consent_id
from voxfleet_gateway.errors import VoiceFileError

MAX_HEADER_BYTES = 16 * 2**10
MAX_FILE_BYTES = MAX_HEADER_BYTES + MAX_RECORDING_BYTES
MAX_REASON_CHARACTERS = 160
LATENT_BYTES = 4  # of a float32

VoiceKey = tuple[str, str]  # tenant, id
VoiceType = Literal["audio_sample", "seed", "consent"]


class Check(StrEnum):
    """What is known of a recording's use as a voice; gateways do not decode, servers do."""

    PENDING = "pending"  # no server was awake when it was uploaded
    PASSED = "passed"
    FAILED = "failed"


class VoiceHeader(BaseModel):
    """The first line: everything about a voice but its payload; of a deleted one, what other gateways need."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a later version may add fields

    format: Literal["voxfleet-voice-1"] = "voxfleet-voice-1"
    id: str = Field(pattern=f"^({VOICE_ID.pattern}|{CONSENT_ID.pattern})$")
    name: str = Field(default="", max_length=MAX_NAME_CHARACTERS)
    created_at: int = Field(default=0, ge=0)
    type: VoiceType = "audio_sample"
    transcript: str = Field(default="", max_length=MAX_TRANSCRIPT_CHARACTERS)
    consent: str = Field(default="", max_length=MAX_CONSENT_CHARACTERS)
    language: str = Field(default="", max_length=MAX_LANGUAGE_CHARACTERS)  # of what a consent says
    prompt: str = Field(default="", max_length=MAX_PROMPT_CHARACTERS)  # from which the seed was made
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    patches: int = Field(default=0, ge=0)
    latents_shape: tuple[int, int, int] | None = None
    payload_bytes: int = Field(default=0, ge=0, le=MAX_RECORDING_BYTES)
    tenant: str = Field(default="", max_length=128)
    version: int = Field(default=0, ge=0)  # microseconds; a later change of the voice has a larger one
    is_deleted: bool = False
    check: Check = Check.PENDING  # also of a file that an earlier version wrote
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)  # why a recording cannot be used
    model: str = Field(default="", max_length=128)  # full name; of a designed voice
    model_generation: int = Field(default=0, ge=0)  # of the model's resource when the voice was designed

    @property
    def key(self) -> VoiceKey:
        """Tenant and id."""
        return self.tenant, self.id

    @property
    def is_consent(self) -> bool:
        """Whether it is a consent's, a deleted one's too; all others are voices'."""
        return is_consent_id(self.id)

    @property
    def hashed_text(self) -> str:
        """What is hashed into the id beside the payload."""
        return self.language if self.type == "consent" else self.transcript

    @property
    def is_unchecked(self) -> bool:
        """Whether a server must still decide if the recording can be used."""
        return self.check is Check.PENDING and self.type == "audio_sample" and not self.is_deleted

    @property
    def rank(self) -> tuple[int, bool, str]:
        """What decides which of two headers of one key holds; the greater one does, in every gateway."""
        return self.version, self.is_deleted, self.model_dump_json()

    def is_newer_than(self, other: "VoiceHeader") -> bool:
        """Whether this header holds of the two; by the rank, whose JSON is rarely needed and costs 10 us."""
        if self.version != other.version:
            return self.version > other.version
        return self != other and self.rank > other.rank


@dataclass(frozen=True, slots=True)
class StoredVoice:
    """A voice: its header, and the bytes of the recording's file or of the latents."""

    header: VoiceHeader
    payload: bytes


def voice_id(payload: bytes, text: str, voice_type: VoiceType = "audio_sample") -> str:
    """Return the id of a recording or of latents with their transcript or language, the same in every region."""
    digest = hashlib.sha256(f"{voice_type} {len(payload)} ".encode())
    digest.update(payload)
    digest.update(text.encode())
    return f"{'cons' if voice_type == 'consent' else 'voice'}_{digest.hexdigest()[:32]}"


def serialize(voice: StoredVoice) -> bytes:
    """Return the bytes of a voice's file."""
    return voice.header.model_dump_json().encode() + b"\n" + voice.payload


def parse_header(data: bytes) -> VoiceHeader:
    """Return the header at the beginning of a file. Raises VoiceFileError."""
    line, newline, _ = data[: MAX_HEADER_BYTES + 1].partition(b"\n")
    if not newline:
        raise VoiceFileError(f"no stored voice: its first line does not end within {MAX_HEADER_BYTES} bytes")
    try:
        return VoiceHeader.model_validate_json(line)
    except ValidationError as error:
        raise VoiceFileError(f"no stored voice: {error.error_count()} errors in its first line") from error


def parse(data: bytes, key: VoiceKey) -> StoredVoice:
    """Return the voice in a file, after checking its length, hash and shape. Raises VoiceFileError."""
    header = parse_header(data)
    payload = data[data.index(b"\n") + 1 :]
    if header.key != key or header.is_deleted:
        raise VoiceFileError(f"not the voice {key[1]} of this tenant")
    if len(payload) != header.payload_bytes or voice_id(payload, header.hashed_text, header.type) != header.id:
        raise VoiceFileError(f"the payload is not the one of {header.id}: its hash or its length is another one")
    if header.type == "seed" and not _has_shape(len(payload), header.latents_shape):
        raise VoiceFileError(f"latents of {len(payload)} bytes cannot have the shape {header.latents_shape}")
    return StoredVoice(header, payload)


def _has_shape(size: int, shape: tuple[int, int, int] | None) -> bool:
    return shape is not None and min(shape) >= 1 and LATENT_BYTES * math.prod(shape) == size
