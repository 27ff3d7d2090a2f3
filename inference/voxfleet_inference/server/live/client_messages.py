"""The messages that a client sends in a session, validated.

Knows: the five messages, their fields, and the message for each field's bounds.
Does not know: sockets, or which message is allowed when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.request_fields import Text
from voxfleet_inference.requests import (
    SpeechRequest,
    check_together,
    json_object,
    validated,
    with_seed,
)

_SHOWN_CHARACTERS: Final = 40


class SessionStart(SpeechRequest):
    """First, and once: the fields of a speech request, for the whole session; answered by `session.started`."""

    input: Text = Field("", description="a string; the same as a first text.append")
    stream: Literal[True] = Field(default=True, description="true; a session always streams")
    stream_format: Literal["audio"] = Field("audio", description="audio; a session sends it as binary messages")


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TextAppend(_Message):
    """More text; a sentence is spoken once the text after it shows that it has ended."""

    text: Text = Field(description="a string")


class TextFlush(_Message):
    """Speak the pending text as it is; answered by `flushed`."""


class Cancel(_Message):
    """Stop speaking and drop the pending text; answered by `cancelled`; the session continues."""


class SessionEnd(_Message):
    """Speak the pending text, then end the session; answered by `session.done`."""


ClientMessage = SessionStart | TextAppend | TextFlush | Cancel | SessionEnd
MESSAGES: Final[Mapping[str, type[ClientMessage]]] = {
    "session.start": SessionStart,
    "text.append": TextAppend,
    "text.flush": TextFlush,
    "cancel": Cancel,
    "session.end": SessionEnd,
}


def parse_message(message: str | None) -> ClientMessage:
    """Parse a text frame; None stands for a binary frame.

    Raises:
        InvalidFieldError: naming the field, what was given and what it must be.
    """
    if message is None:
        raise InvalidFieldError("a message must be JSON in a text frame, not a binary one", code="binary_message")
    return parse_fields(json_object(message, "message"))


def parse_fields(fields: dict[str, Any]) -> ClientMessage:
    """Parse a message's fields.

    Raises:
        InvalidFieldError: naming the field, what was given and what it must be.
    """
    name = fields.get("type")
    kind = MESSAGES.get(name) if isinstance(name, str) else None
    if kind is None:
        given = repr(name)[:_SHOWN_CHARACTERS]
        raise InvalidFieldError(f"'type' must be one of {', '.join(MESSAGES)}; given {given}", param="type")
    parsed = validated(kind, fields)
    if not isinstance(parsed, SessionStart):
        return parsed
    check_together(parsed)
    return with_seed(parsed)
