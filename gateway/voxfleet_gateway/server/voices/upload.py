"""The body of POST /v1/audio/voices, a form or JSON: read within bounds, checked field by field.

Knows: the names and bounds of the inference server's API (a contract test compares them). Does not know: where voices
are stored, whether a recording can be decoded: pods decide that.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import (
    bad_request,
    body_too_large,
    body_too_slow,
    unsupported_media_type,
)
from voxfleet_gateway.server.requests.request_body import Reservation, begin_body, read_body
from voxfleet_gateway.server.requests.speech_request import parse_object
from voxfleet_gateway.voices.file_format import (
    MAX_CONSENT_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_RECORDING_BYTES,
    MAX_TRANSCRIPT_CHARACTERS,
)

UPLOAD_SECONDS = 60.0
MAX_SEED = 2**63 - 1
MAX_MODEL_CHARACTERS = 256
MAX_PARTS = 16
MAX_FIELD_BYTES = 32 * 2**10
CHUNK_BYTES = 64 * 2**10
# Names of the same fields in other servers with OpenAI's speech API, and in their clients.
FIELD_ALIASES = {"audio": "audio_sample", "file": "audio_sample", "text": "transcript", "ref_text": "transcript"}
# Texts by which forms and scripts say no; any other text is a statement of consent.
NO_CONSENT = frozenset({"", "0", "false", "no", "none", "null", "off"})
FIELDS = {
    "name": f"a string of 1 to {MAX_NAME_CHARACTERS} printable characters, the name to show for the voice",
    "type": "audio_sample or seed",
    "audio_sample": f"a recording of 1 to 30 seconds and at most {MAX_RECORDING_BYTES} bytes: a file, or base64",
    "transcript": f"a string of 1 to {MAX_TRANSCRIPT_CHARACTERS} characters, the exact transcript of the recording",
    "consent": f"a string of 1 to {MAX_CONSENT_CHARACTERS} characters: that, how and when the speaker agreed",
    "seed": f"an integer from 0 to {MAX_SEED}, which draws a voice",
    "model": f"a string of 1 to {MAX_MODEL_CHARACTERS} characters, the model that draws the voice",
}


@dataclass(frozen=True, slots=True)
class RecordedUpload:
    """A voice to be stored."""

    name: str
    recording: bytes
    transcript: str
    consent: str


@dataclass(frozen=True, slots=True)
class DesignedUpload:
    """A voice to be drawn by a seed."""

    name: str
    seed: int
    transcript: str | None  # what it says for a sample; None: what the server chooses
    model: str  # empty: the only one that the caller may use


VoiceUpload = RecordedUpload | DesignedUpload


async def read_upload(request: web.Request, reservation: Reservation, max_bytes: int) -> VoiceUpload:
    """Return the checked upload. Raises RequestRefusedError: 400, 408, 413, 415, 503."""
    if request.content_type == "multipart/form-data":
        fields = await _form(request, reservation, max_bytes)
    elif request.content_type == "application/json":
        given = parse_object(await read_body(request, reservation, max_bytes))
        fields = {name: value for name, value in given.items() if value is not None}  # null: as if it were left out
    else:
        raise RequestRefusedError(unsupported_media_type(request.headers.get("Content-Type", "")))
    return checked_upload({FIELD_ALIASES.get(name, name): value for name, value in fields.items()})


def checked_upload(fields: Mapping[str, Any]) -> VoiceUpload:
    """Return the validated fields. Raises RequestRefusedError (400), which names the field and its bounds."""
    kind = fields.get("type", "audio_sample")
    if kind not in ("audio_sample", "seed"):
        raise _wrong("type", repr(kind)[:60])
    name = _text(fields, "name", MAX_NAME_CHARACTERS)
    if not name.isprintable():
        raise _wrong("name", "an unprintable character")
    if "audio_sample" in fields or fields.get("type") == "audio_sample" or "seed" not in fields:
        if "seed" in fields:
            raise _wrong("seed", "together with 'audio_sample'; a voice comes from one of them")
        return _recorded(name, fields)
    transcript = _text(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS) if "transcript" in fields else None
    model = _text(fields, "model", MAX_MODEL_CHARACTERS) if "model" in fields else ""
    return DesignedUpload(name, _seed(fields["seed"]), transcript, model)


def _recorded(name: str, fields: Mapping[str, Any]) -> RecordedUpload:
    recording = _recording(fields.get("audio_sample"))
    transcript = _text(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS)
    consent = _text(fields, "consent", MAX_CONSENT_CHARACTERS)
    if consent.lower() in NO_CONSENT:
        raise _wrong("consent", repr(consent))
    return RecordedUpload(name, recording, transcript, consent)


async def _form(request: web.Request, reservation: Reservation, max_bytes: int) -> dict[str, Any]:
    """Read the parts as they arrive; each is kept once, and counted."""
    await begin_body(request, max_bytes)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await _parts(request, reservation, max_bytes)
    except TimeoutError as error:
        raise RequestRefusedError(body_too_slow(UPLOAD_SECONDS)) from error
    except (ValueError, AssertionError, RuntimeError, LookupError) as error:  # by aiohttp's reader, or undecodable text
        reason = str(error) or type(error).__name__
        raise RequestRefusedError(
            bad_request(f"The form is not valid: {reason:.200}.", None, "invalid_form")
        ) from error


async def _parts(request: web.Request, reservation: Reservation, max_bytes: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    reader = await request.multipart()
    for _ in range(MAX_PARTS + 1):
        part = await reader.next()
        if part is None:
            return fields
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ValueError("a part has no name, or parts of its own")
        is_file = part.filename is not None
        left = max_bytes - reservation.taken_bytes
        data = await _part(part, reservation, min(left, MAX_RECORDING_BYTES if is_file else MAX_FIELD_BYTES))
        fields[part.name] = data if is_file else data.decode()
    raise ValueError(f"it has more than {MAX_PARTS} parts")


async def _part(part: BodyPartReader, reservation: Reservation, max_bytes: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        if len(data) + len(chunk) > max_bytes:
            raise RequestRefusedError(body_too_large(max_bytes))
        reservation.grow(len(chunk))
        data += chunk
    return bytes(data)


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
        value = json.dumps(value)
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


def _missing(name: str) -> RequestRefusedError:
    return RequestRefusedError(bad_request(f"'{name}' is missing; it must be {FIELDS[name]}.", name, "missing"))


def _wrong(name: str, given: str) -> RequestRefusedError:
    return RequestRefusedError(bad_request(f"'{name}' must be {FIELDS[name]}; given {given}.", name, "invalid"))
