"""The body of POST /v1/audio/speech, checked.

Knows: OpenAI's fields, VoxFleet's own fields, and the message for each field's bounds.
Does not know: engines, or how audio is made.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import zlib
from typing import Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)
from voxfleet_protocols.spoken_text import has_speech

from voxfleet_inference.audio.formats import FORMATS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from voxfleet_inference.engine.steps.noise import MAX_SEED
from voxfleet_inference.errors import InvalidFieldError, UnknownModelError
from voxfleet_inference.request_fields import (
    HALF_PAIR,
    FormatName,
    Number,
    Text,
    VoiceName,
    Whole,
    allow_null_where_optional,
)
from voxfleet_inference.text.pause_marks import without_pauses
from voxfleet_inference.text.plain_text import plain_text

MAX_TRANSCRIPT_CHARACTERS: Final = 1000  # several times what is said in the 30 s of a recording
_SHOWN_CHARACTERS: Final = 40  # of a given value, in a message
_DRAWN_SEEDS: Final = 2**32  # short enough to type, and exact in JSON parsers that read every number as a double
Kind = TypeVar("Kind", bound=BaseModel)


class SpeechRequest(BaseModel):
    """The fields of a speech request; each description completes the message "it must be ..."."""

    # Unknown fields are ignored: OpenAI's clients may send ones that are newer than this server.
    model_config = ConfigDict(
        frozen=True, extra="ignore", title="SpeechRequest", json_schema_extra=allow_null_where_optional
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, fields: Any) -> Any:
        """Leave out optional fields that are null, as clients write a setting which is not made."""
        if not isinstance(fields, dict):
            return fields
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in fields.items() if value is not None or name not in optional}

    model: Text = Field(description="a string, the name of a model that GET /v1/models lists")
    input: Text = Field(
        description="a string with at least one letter or digit to speak", json_schema_extra={"pattern": r"\S"}
    )
    voice: VoiceName = Field(
        "default",
        description='a string: default, random, an alias, or the id or name of a stored voice; or {"id": ...}',
    )
    instructions: Text | None = Field(
        None, description="a string; accepted for OpenAI's clients and not used: the model takes no directions"
    )
    response_format: FormatName = Field("mp3", description=f"one of {', '.join(FORMATS)}")
    speed: Number = Field(1.0, ge=0.25, le=4, description="a number from 0.25 to 4")
    stream_format: Literal["audio", "sse"] = Field("audio", description="audio or sse")
    stream: StrictBool = Field(
        default=True, description="a boolean; false sends the audio when it is complete, with its length"
    )
    word_timestamps: StrictBool = Field(
        default=False,
        description="a boolean; true sends when each word is spoken, in events (stream_format sse) or a session",
    )
    seed: Whole | None = Field(None, ge=0, le=MAX_SEED, description=f"an integer from 0 to {MAX_SEED}")
    cfg_value: Number | None = Field(None, ge=1, le=10, description="a number from 1 to 10")
    inference_timesteps: Whole | None = Field(None, ge=2, le=40, description="an integer from 2 to 40")
    normalize: StrictBool = Field(
        default=False, description="a boolean; true spells out numbers, dates and units before they are spoken"
    )
    sample_rate: Whole | None = Field(
        None,
        description="an integer, a sample rate in Hz that the format can carry",
        json_schema_extra={"minimum": MIN_SAMPLE_RATE, "maximum": MAX_SAMPLE_RATE},
    )
    reference_audio: Text | None = Field(None, description="base64 of a recording of 1 to 30 seconds, never a URL")
    reference_text: Text | None = Field(
        None,
        min_length=1,
        max_length=MAX_TRANSCRIPT_CHARACTERS,
        description=f"a string of 1 to {MAX_TRANSCRIPT_CHARACTERS} characters, what the recording says",
    )

    @property
    def stream_number(self) -> int:
        """What an Ogg stream is numbered (31 bits): equal requests are equal files, others can follow in one file."""
        return zlib.crc32(f"{self.seed} {self.input}".encode()) >> 1


Request = TypeVar("Request", bound=SpeechRequest)


def parse_speech_request(body: bytes, max_input_characters: int) -> SpeechRequest:
    """Parse a body; a request without a seed gets one.

    Raises:
        InvalidFieldError: naming the field, what was given and what it must be.
    """
    request = validated(SpeechRequest, json_object(body))
    check_input(request.input, max_input_characters, normalizes=request.normalize)
    check_together(request)
    if request.word_timestamps and request.stream_format != "sse":
        message = "'word_timestamps' needs 'stream_format': \"sse\" (or a session): bare audio has no place for words"
        raise InvalidFieldError(message, param="word_timestamps", code="invalid")
    return with_seed(request)


def with_seed(request: Request) -> Request:
    """Return the request with a random seed where it has none; the response names it, so that it can be replayed."""
    if request.seed is not None:
        return request
    return request.model_copy(update={"seed": secrets.randbelow(_DRAWN_SEEDS)})


def json_object(body: bytes | str, what: str = "body") -> dict[str, Any]:
    """Parse a JSON object; `what` names it in the message.

    Raises:
        InvalidFieldError: it is something else.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:  # RecursionError: deeply nested arrays
        raise InvalidFieldError(f"the {what} must be a JSON object: {error}", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise InvalidFieldError(f"the {what} must be a JSON object; given {_shown(fields)}", code="invalid_json")
    return fields


def validated(kind: type[Kind], fields: dict[str, Any]) -> Kind:
    """Validate fields as a model whose field descriptions complete "it must be ...".

    Raises:
        InvalidFieldError: naming the first wrong field, what was given and what it must be.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise _first_error(kind, error) from error


def check_together(request: SpeechRequest) -> None:
    """Check fields against each other.

    Raises:
        InvalidFieldError: the format does not allow the sample rate, or one of two fields is missing.
    """
    _check_sample_rate(request)
    if (request.reference_audio is None) != (request.reference_text is None):
        missing = "reference_text" if request.reference_text is None else "reference_audio"
        raise InvalidFieldError("'reference_audio' and 'reference_text' go together", param=missing, code="missing")


def check_model(given: str, names: tuple[str, ...]) -> None:
    """Check the name of a model against those that this server has.

    Raises:
        UnknownModelError: it is another name.
    """
    if given not in names:
        known = ", ".join(f"'{each}'" for each in names)
        message = f"the model '{given}' does not exist; this server has {known}"
        raise UnknownModelError(message, param="model", code="model_not_found")


def recording_bytes(reference_audio: str) -> bytes:
    """Decode a recording's file.

    Raises:
        InvalidFieldError: it is not base64.
    """
    try:
        return base64.b64decode(reference_audio, validate=True)
    except (binascii.Error, ValueError) as error:
        wanted = SpeechRequest.model_fields["reference_audio"].description
        raise InvalidFieldError(
            f"'reference_audio' must be {wanted}", param="reference_audio", code="invalid"
        ) from error


def _first_error(kind: type[BaseModel], error: ValidationError) -> InvalidFieldError:
    # OpenAI's form of an error names one field.
    first = error.errors(include_url=False, include_context=False)[0]
    field_name = str(first["loc"][0])
    wanted = kind.model_fields[field_name].description
    if first["type"] == "missing":
        return InvalidFieldError(f"'{field_name}' is missing; it must be {wanted}", param=field_name, code="missing")
    if first["type"] == HALF_PAIR:
        message = f"'{field_name}' has {first['msg']}; send both halves of the character, or neither"
        return InvalidFieldError(message, param=field_name, code="invalid")
    return InvalidFieldError(
        f"'{field_name}' must be {wanted}; given {_shown(first['input'])}", param=field_name, code="invalid"
    )


def check_input(text: str, max_characters: int, *, normalizes: bool = False) -> None:
    """Check that `input` has something to speak, and at most `max_characters`.

    Args:
        text: the field.
        max_characters: the server's limit.
        normalizes: whether pause marks are pauses, and so no speech.

    Raises:
        InvalidFieldError: it has no letter or digit, or is longer.
    """
    wanted = f"'input' must be a string of 1 to {max_characters} characters"
    if not text.strip():
        given = "white space only" if text else "an empty string"
        raise InvalidFieldError(f"{wanted}; given {given}", param="input", code="empty")
    if len(text) > max_characters:
        raise InvalidFieldError(f"{wanted}; given {len(text)}", param="input", code="too_long")
    if not has_speech(without_pauses(plain_text(text)) if normalizes else text):
        message = f"'input' must have a letter or a digit to speak; given {_shown(text)}"
        raise InvalidFieldError(message, param="input", code="empty")


def _check_sample_rate(request: SpeechRequest) -> None:
    if request.sample_rate is None:
        return
    audio_format = FORMATS[request.response_format]
    if not audio_format.allows(request.sample_rate):
        raise InvalidFieldError(
            f"'sample_rate' must be {audio_format.rates_in_words} Hz for {audio_format.name};"
            f" given {request.sample_rate}",
            param="sample_rate",
            code="invalid",
        )


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
