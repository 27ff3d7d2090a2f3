"""Parses and validates the body of POST /v1/audio/voices, a form or JSON.

Knows: OpenAI's field names, those of VoxFleet's own, and the error message of each field's bounds.
Does not know: engines, disks, or whether a recording can be decoded.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from voxfleet_inference.engine.noise import MAX_SEED
from voxfleet_inference.errors import InvalidFieldError, UnsupportedMediaTypeError
from voxfleet_inference.voices.file_format import (
    MAX_CONSENT_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_RECORDING_BYTES,
    MAX_TRANSCRIPT_CHARACTERS,
)

_MAX_FIELDS: Final = 16
_MAX_FIELD_BYTES: Final = 32 * 2**10
# Names of the same fields in other servers with OpenAI's speech API, and in their clients.
_FIELD_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"audio": "audio_sample", "file": "audio_sample", "text": "transcript", "ref_text": "transcript"}
)
# Texts by which forms and scripts say no; any other text is a statement of consent.
_NO_CONSENT: Final = frozenset({"", "0", "false", "no", "none", "null", "off"})
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": f"a string of 1 to {MAX_NAME_CHARACTERS} printable characters, the name to show for the voice",
        "type": "audio_sample or seed",
        "audio_sample": f"a recording of 1 to 30 seconds and at most {MAX_RECORDING_BYTES} bytes: a file, or base64",
        "transcript": f"a string of 1 to {MAX_TRANSCRIPT_CHARACTERS} characters, the exact transcript of the recording",
        "consent": f"a string of 1 to {MAX_CONSENT_CHARACTERS} characters: that, how and when the speaker agreed",
        "seed": f"an integer from 0 to {MAX_SEED}, which draws a voice",
    }
)


@dataclass(frozen=True, slots=True)
class RecordedVoice:
    """A voice to be made from a recording."""

    name: str
    recording: bytes
    transcript: str
    consent: str


@dataclass(frozen=True, slots=True)
class DesignedVoice:
    """A voice to be drawn by a seed; without a text it speaks that of the built-in voice."""

    name: str
    seed: int
    text: str | None


VoiceRequest = RecordedVoice | DesignedVoice


async def parse_voice_request(headers: Headers, body: bytes) -> VoiceRequest:
    """Return the voice to make.

    Raises:
        UnsupportedMediaTypeError: the body is neither a form nor JSON.
        InvalidFieldError: naming the field, its value and what it must be.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        fields = await _form(headers, body)
    elif media_type == "application/json":
        fields = _json(body)
    else:
        raise UnsupportedMediaTypeError(
            f"a voice is sent as multipart/form-data or application/json; given {media_type or 'no Content-Type'!r}",
            code="unsupported_media_type",
        )
    return voice_request({_FIELD_ALIASES.get(name, name): value for name, value in fields.items()})


def voice_request(fields: Mapping[str, Any]) -> VoiceRequest:
    """Return the validated fields as a request.

    Raises:
        InvalidFieldError: naming the field, its value and what it must be.
    """
    # A tuple, not a set: JSON values may be unhashable.
    if fields.get("type", "audio_sample") not in ("audio_sample", "seed"):
        raise _wrong("type", repr(fields["type"])[:60])
    name = _text(fields, "name", MAX_NAME_CHARACTERS)
    if not name.isprintable():
        raise _wrong("name", "an unprintable character")
    if "audio_sample" in fields or fields.get("type") == "audio_sample" or "seed" not in fields:
        if "seed" in fields:
            raise _wrong("seed", "together with 'audio_sample'; a voice comes from one of them")
        return _recorded(name, fields)
    text = _text(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS) if "transcript" in fields else None
    return DesignedVoice(name, _seed(fields["seed"]), text)


def _recorded(name: str, fields: Mapping[str, Any]) -> RecordedVoice:
    recording = _recording(fields.get("audio_sample"))
    transcript = _text(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS)
    consent = _text(fields, "consent", MAX_CONSENT_CHARACTERS)
    if consent.lower() in _NO_CONSENT:
        raise _wrong("consent", repr(consent))
    return RecordedVoice(name, recording, transcript, consent)


async def _form(headers: Headers, body: bytes) -> dict[str, Any]:
    parser = _InMemoryParser(headers, _once(body), max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError) as error:
        message = getattr(error, "message", None) or f"it cannot be parsed ({type(error).__name__})"
        raise InvalidFieldError(f"the form in the body is invalid: {message}", code="invalid_form") from error
    fields = {name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()}
    await form.close()
    return fields


class _InMemoryParser(MultiPartParser):
    """Keeps files in memory, not on disk: the body is in memory already, within --max-body-bytes."""

    spool_max_size = 2**30


async def _once(body: bytes) -> AsyncGenerator[bytes]:
    yield body
    yield b""


def _json(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidFieldError(f"the body must be a JSON object: {error}", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise InvalidFieldError("the body must be a JSON object", code="invalid_json")
    return {name: value for name, value in fields.items() if value is not None}  # null: as if it were left out


def _recording(value: Any) -> bytes:
    if value is None:
        raise _missing("audio_sample")
    data = value if isinstance(value, bytes) else _decoded(value)
    if not 1 <= len(data) <= MAX_RECORDING_BYTES:
        raise _wrong("audio_sample", f"{len(data)} bytes")
    return data


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _wrong("audio_sample", "a string that is no base64") from error


def _text(fields: Mapping[str, Any], name: str, max_characters: int) -> str:
    value = fields.get(name)
    if value is None:
        raise _missing(name)
    if isinstance(value, bool) and name == "consent":
        value = str(value).lower()
    if not isinstance(value, str):
        raise _wrong(name, type(value).__name__)
    stripped = value.strip()
    if not 1 <= len(stripped) <= max_characters:
        raise _wrong(name, f"{len(stripped)} characters")
    if any("\ud800" <= character <= "\udfff" for character in stripped) or "\0" in stripped:
        raise _wrong(name, "a lone surrogate or a null character")
    return stripped


def _seed(value: Any) -> int:
    # Forms send text. ASCII alone, since int() also takes digits of other scripts; 20 digits exceed any seed.
    is_number = isinstance(value, int | str) and not isinstance(value, bool) and str(value).isascii()
    if not is_number or not str(value).isdigit() or int(str(value)[:20]) > MAX_SEED:
        raise _wrong("seed", repr(value)[:60])
    return int(value)


def _missing(name: str) -> InvalidFieldError:
    return InvalidFieldError(f"'{name}' is missing; it must be {FIELDS[name]}", param=name, code="missing")


def _wrong(name: str, given: str) -> InvalidFieldError:
    return InvalidFieldError(f"'{name}' must be {FIELDS[name]}; given {given}", param=name, code="invalid")
