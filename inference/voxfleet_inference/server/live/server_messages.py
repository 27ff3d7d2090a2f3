"""The messages of a session to its client, and their form in VoxFleet's own protocol.

Knows: the seven messages, and each one's JSON.
Does not know: connections, or when a message is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, InstanceOf, WithJsonSchema

from voxfleet_inference.errors import ApiError


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The answer to `session.start`."""

    kind: ClassVar[str] = "session.started"
    session_id: str
    seed: Annotated[int, Field(description="The request's, or the one that was drawn.")]
    response_format: str
    sample_rate: Annotated[int, Field(description="Of the audio, in Hz.")]


@dataclass(frozen=True, slots=True)
class SentenceStart:
    """The audio from `at_seconds` on, with the next binary frames, is of this sentence."""

    kind: ClassVar[str] = "sentence.started"
    index: int
    text: str
    at_seconds: Annotated[float, Field(description="Seconds of the session's audio before it.")]


@dataclass(frozen=True, slots=True)
class SentenceTimestamps:
    """When the words of a sentence are spoken, after its last audio; for `word_timestamps` alone."""

    kind: ClassVar[str] = "sentence.timestamps"
    index: int
    text: str
    at_seconds: Annotated[float, Field(description="Where its audio begins in the session's.")]
    until_seconds: Annotated[float, Field(description="Where it ends.")]
    words: Annotated[
        Sequence[Mapping[str, str | float]],
        Field(description="`word`, `start`, `end` of each, in seconds of the session's audio."),
    ]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The speech was stopped; the session continues."""

    kind: ClassVar[str] = "cancelled"
    at_seconds: Annotated[float, Field(description="Seconds of audio sent so far.")]


@dataclass(frozen=True, slots=True)
class Flushed:
    """All audio of the text before a `text.flush` was sent; one for each flush that no `cancel` overtook."""

    kind: ClassVar[str] = "flushed"
    at_seconds: Annotated[float, Field(description="Seconds of audio sent so far.")]


@dataclass(frozen=True, slots=True)
class SessionDone:
    """All text was spoken; nothing follows."""

    kind: ClassVar[str] = "session.done"
    usage: Annotated[Mapping[str, int], Field(description="As in the events of a request.")]


@dataclass(frozen=True, slots=True)
class SessionError:
    """A message was wrong, or the session ends; with `retry_after_seconds` where a retry can succeed."""

    kind: ClassVar[str] = "error"
    error: Annotated[
        ApiError,
        InstanceOf(),
        WithJsonSchema({"type": "object", "description": "In OpenAI's form: `message`, `type`, `param`, `code`."}),
    ]


ServerMessage = SessionStarted | SentenceStart | SentenceTimestamps | Cancelled | Flushed | SessionDone | SessionError


def message_json(message: ServerMessage, **more: Any) -> str:
    """Return a message as VoxFleet's protocol sends it, with more fields at its end."""
    return json.dumps({**message_fields(message), **more}, ensure_ascii=False)


def message_fields(message: ServerMessage) -> dict[str, Any]:
    """Return the fields of a message's JSON."""
    fields = _error_fields(message.error) if isinstance(message, SessionError) else asdict(message)
    return {"type": message.kind, **fields}


def _error_fields(error: ApiError) -> dict[str, Any]:
    """Return an error in OpenAI's form; with `retry_after_seconds` where the error has `Retry-After`."""
    retry_after = error.headers.get("Retry-After")
    more = {} if retry_after is None else {"retry_after_seconds": int(retry_after)}
    return {**error.body, **more}
