"""What a client may say in a session, checked.

Knows: the five messages, their fields, and the words for each field's bounds.
Does not know: sockets, or which message is welcome when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.requests import (
    SpeechRequest,
    Text,
    check_together,
    json_object,
    validated,
    with_seed,
)

_SHOWN_CHARACTERS: Final = 40


class SessionStart(SpeechRequest):
    """How everything in this session is spoken: the fields of a speech request."""

    input: Text = Field("", description="a string; spoken as the first text.append would be")
    stream: Literal[True] = Field(default=True, description="true: a session always streams")
    stream_format: Literal["audio"] = Field("audio", description="audio: a session sends it as binary messages")


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TextAppend(_Message):
    """More text; what is complete is spoken."""

    text: Text = Field(description="a string")


class TextFlush(_Message):
    """Speak what waits for its sentence's end."""


class Cancel(_Message):
    """Stop speaking and forget the text that waits; the session goes on."""


class SessionEnd(_Message):
    """Speak what is left, then end."""


ClientMessage = SessionStart | TextAppend | TextFlush | Cancel | SessionEnd
MESSAGES: Final[Mapping[str, type[ClientMessage]]] = {
    "session.start": SessionStart,
    "text.append": TextAppend,
    "text.flush": TextFlush,
    "cancel": Cancel,
    "session.end": SessionEnd,
}


def parse_message(message: str | None) -> ClientMessage:
    """The message that a text frame holds; None is a binary frame.

    Raises:
        InvalidFieldError: naming the field, what was given and what it must be.
    """
    if message is None:
        raise InvalidFieldError("a message must be JSON in a text frame, not a binary one", code="binary_message")
    fields = json_object(message, "message")
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
