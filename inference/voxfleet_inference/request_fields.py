"""The types of a speech request's fields: what JSON value each takes, beyond its bounds.

Knows: pydantic, and the two forms in which OpenAI's clients name a voice.
Does not know: which fields there are, or their messages.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError
from voxfleet_protocols.spoken_text import half_pair

from voxfleet_inference.audio.formats import FORMATS

HALF_PAIR: Final = "half_surrogate_pair"  # the type of the error


def _number(value: Any) -> Any:
    # bool is a subclass of int, and pydantic would convert strings.
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("not a number")
    return value


def _encodable(text: str) -> str:
    """Reject half a surrogate pair, which JSON can spell and UTF-8 cannot encode."""
    if half := half_pair(text):
        raise PydanticCustomError(HALF_PAIR, "{half}", {"half": half})
    return text


def _format_name(name: str) -> str:
    if name not in FORMATS:
        raise ValueError("not a format")
    return name


def _voice_name(value: Any) -> Any:
    """Return the id of {"id": ...}, the other form in which OpenAI's clients name a stored voice."""
    return value["id"] if isinstance(value, dict) and value.keys() == {"id"} else value


Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Text = Annotated[StrictStr, AfterValidator(_encodable)]
FormatName = Annotated[
    StrictStr, AfterValidator(_format_name), WithJsonSchema({"type": "string", "enum": [*FORMATS]})
]  # not a Literal: FORMATS is the only list of formats
_VOICE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False},
    ]
}
VoiceName = Annotated[Text, BeforeValidator(_voice_name), WithJsonSchema(_VOICE_SCHEMA)]


def allow_null_where_optional(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that every optional field may be null."""
    for name, field in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in field.get("anyOf", ()):
            documented = {key: field.pop(key) for key in ("title", "description", "default") if key in field}
            schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **documented}
