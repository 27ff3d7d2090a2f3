"""The fields by which voices and consents are uploaded: their names, bounds and messages, for gateway and server alike.

Knows: OpenAI's field names, those of VoxFleet's own, which containers a consent's recording may have.
Does not know: bodies, disks, or whether a recording can be decoded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from voxfleet_protocols.translation import UnusableMessageError

MAX_NAME_CHARACTERS: Final = 256
MAX_TRANSCRIPT_CHARACTERS: Final = 1000
MAX_CONSENT_CHARACTERS: Final = 1000
MAX_PROMPT_CHARACTERS: Final = 1000
MAX_MODEL_CHARACTERS: Final = 256
MAX_LANGUAGE_CHARACTERS: Final = 35  # of a tag, as RFC 5646 (4.4.1) advises
MAX_RECORDING_BYTES: Final = 10 * 2**20  # 30 s of 48 kHz 24-bit stereo WAV take 8.6 MB
MAX_SEED: Final = 2**63 - 1  # the largest signed 64-bit integer
_SEED_DIGITS: Final = len(str(MAX_SEED))
# Names of the same fields in other servers with OpenAI's speech API, and in their clients.
_FIELD_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audio": "audio_sample",
        "file": "audio_sample",
        "text": "transcript",
        "ref_text": "transcript",
        "script_hint": "transcript",
    }
)
_OPENAI_MODELS: Final = frozenset({"auto", "2026-10-08"})  # by which OpenAI's client leaves the choice open
# Texts by which forms and scripts say no; any other text is a statement of consent.
_NO_CONSENT: Final = frozenset({"", "0", "false", "no", "none", "null", "off"})
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": f"a string of 1 to {MAX_NAME_CHARACTERS} printable characters, the name to show",
        "type": "audio_sample, seed or prompt",
        "audio_sample": f"a recording of 1 to 30 seconds and at most {MAX_RECORDING_BYTES} bytes: a file, or base64",
        "transcript": f"a string of 1 to {MAX_TRANSCRIPT_CHARACTERS} characters, the exact transcript of the recording,"
        " without which the model cannot use it (OpenAI's client sends it by extra_body)",
        "consent": f"a string of 1 to {MAX_CONSENT_CHARACTERS} characters: that, how and when the speaker agreed; or"
        " the id of a recording in which the speaker agrees (POST /v1/audio/voice_consents)",
        "seed": f"an integer from 0 to {MAX_SEED}, which draws a voice",
        "prompt": f"a string of 1 to {MAX_PROMPT_CHARACTERS} characters, a description; it gives a seed, nothing more",
    }
)
CONSENT_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recording": f"a recording of at most {MAX_RECORDING_BYTES} bytes in which the speaker agrees, as WAV, MP3,"
        " AAC, Ogg, FLAC, WebM or MP4: a file, or base64",
        "language": f"the language of the recording, a tag of 2 to {MAX_LANGUAGE_CHARACTERS} characters such as en-US",
    }
)
MODEL_FIELD: Final = f"a string of 1 to {MAX_MODEL_CHARACTERS} characters, the model that draws the voice"
_WANTED: Final[Mapping[str, str]] = {**FIELDS, **CONSENT_FIELDS, "model": MODEL_FIELD}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # the form of BCP 47
# How files begin in the containers that OpenAI's API accepts: MP3 with a tag or bare, and AAC in ADTS, begin with
# eleven set bits. Nothing is decoded: a consent is kept as it came.
_BEGINNING: Final = re.compile(rb"RIFF....WAVE|ID3|\xff[\xe0-\xff]|OggS|fLaC|\x1aE\xdf\xa3|....ftyp", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RecordedVoice:
    """A voice to be made from a recording."""

    name: str
    recording: bytes
    transcript: str
    consent: str


@dataclass(frozen=True, slots=True)
class DesignedVoice:
    """A voice to be drawn by a seed; without a transcript its sample speaks the text of the built-in voice."""

    name: str
    seed: int
    transcript: str | None
    model: str = ""  # empty: the only one that the caller may use
    prompt: str = ""


VoiceRequest = RecordedVoice | DesignedVoice


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A recording in which a speaker agrees, to be kept."""

    name: str
    language: str
    recording: bytes


def with_own_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields under the names that are used here."""
    return {_FIELD_ALIASES.get(name, name): value for name, value in fields.items()}


def voice_request(fields: Mapping[str, Any]) -> VoiceRequest:
    """Return the validated fields. Raises UnusableMessageError, which names the field, its value and its bounds.

    Every other function here raises the same.
    """
    # A tuple, not a set: JSON values may be unhashable.
    if fields.get("type", "audio_sample") not in ("audio_sample", "seed", "prompt"):
        raise wrong_field("type", repr(fields["type"])[:60])
    name = name_field(fields)
    return _recorded(name, fields) if _is_recorded(fields) else _designed(name, fields)


def consent_request(fields: Mapping[str, Any]) -> ConsentRequest:
    """Return the validated fields of a consent."""
    name, recording = name_field(fields), recording_field(fields, "recording")
    if _BEGINNING.match(recording) is None:
        raise wrong_field("recording", f"{len(recording)} bytes of something else")
    language = text_field(fields, "language", MAX_LANGUAGE_CHARACTERS)
    if _LANGUAGE.fullmatch(language) is None:
        raise wrong_field("language", repr(language))
    return ConsentRequest(name, language, recording)


def seed_of(prompt: str) -> int:
    """Return the seed of a description: the same for the same one, in 53 bits, which every reader of JSON keeps."""
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8]) >> 11


def _is_recorded(fields: Mapping[str, Any]) -> bool:
    kind, drawn = fields.get("type", "audio_sample"), [name for name in ("seed", "prompt") if name in fields]
    if "audio_sample" not in fields and "type" in fields:
        return bool(kind == "audio_sample")
    if "audio_sample" in fields and drawn:
        raise wrong_field(drawn[0], "together with 'audio_sample'; a voice comes from one of them")
    if "audio_sample" in fields and kind != "audio_sample":
        raise wrong_field("type", f"{kind!r} together with 'audio_sample'")
    return not drawn


def _designed(name: str, fields: Mapping[str, Any]) -> DesignedVoice:
    is_prompted = "prompt" in fields or fields.get("type") == "prompt"
    prompt = text_field(fields, "prompt", MAX_PROMPT_CHARACTERS) if is_prompted else ""
    seed = seed_of(prompt) if prompt and "seed" not in fields else _seed(fields.get("seed"))
    transcript = text_field(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS) if "transcript" in fields else None
    model = text_field(fields, "model", MAX_MODEL_CHARACTERS) if "model" in fields else ""
    return DesignedVoice(name, seed, transcript, "" if model in _OPENAI_MODELS else model, prompt)


def _recorded(name: str, fields: Mapping[str, Any]) -> RecordedVoice:
    recording = recording_field(fields, "audio_sample")
    transcript = text_field(fields, "transcript", MAX_TRANSCRIPT_CHARACTERS)
    consent = text_field(fields, "consent", MAX_CONSENT_CHARACTERS)
    if consent.lower() in _NO_CONSENT:
        raise wrong_field("consent", repr(consent))
    return RecordedVoice(name, recording, transcript, consent)


def recording_field(fields: Mapping[str, Any], name: str) -> bytes:
    """Return the bytes of a file, within bounds."""
    value = fields.get(name)
    if value is None:
        raise _missing(name)
    data = value if isinstance(value, bytes) else _decoded(value, name)
    if not 1 <= len(data) <= MAX_RECORDING_BYTES:
        raise wrong_field(name, f"{len(data)} bytes")
    return data


def _decoded(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise wrong_field(name, "a string that is no base64") from error


def name_field(fields: Mapping[str, Any]) -> str:
    """Return the name to show."""
    name = text_field(fields, "name", MAX_NAME_CHARACTERS)
    if not name.isprintable():
        raise wrong_field("name", "an unprintable character")
    return name


def text_field(fields: Mapping[str, Any], name: str, max_characters: int) -> str:
    """Return a text without blanks at its ends, within bounds."""
    value = fields.get(name)
    if value is None:
        raise _missing(name)
    if isinstance(value, bool) and name == "consent":
        value = str(value).lower()
    if not isinstance(value, str):
        raise wrong_field(name, type(value).__name__)
    stripped = value.strip()
    if not 1 <= len(stripped) <= max_characters:
        raise wrong_field(name, f"{len(stripped)} characters")
    if any("\ud800" <= character <= "\udfff" for character in stripped) or "\0" in stripped:
        raise wrong_field(name, "a lone surrogate or a null character")
    return stripped


def _seed(value: Any) -> int:
    if value is None:
        raise _missing("seed")
    # Forms send text. ASCII alone, since int() also takes digits of other scripts, and few digits, which it reads fast.
    is_number = isinstance(value, int | str) and not isinstance(value, bool) and str(value).isascii()
    if not is_number or not str(value).isdigit() or len(str(value)) > _SEED_DIGITS or int(value) > MAX_SEED:
        raise wrong_field("seed", repr(value)[:60])
    return int(value)


def _missing(name: str) -> UnusableMessageError:
    return UnusableMessageError(f"'{name}' is missing; it must be {_WANTED[name]}", "missing", name)


def wrong_field(name: str, given: str) -> UnusableMessageError:
    """Return the error of a field that is not what it must be."""
    return UnusableMessageError(f"'{name}' must be {_WANTED[name]}; given {given}", "invalid", name)
