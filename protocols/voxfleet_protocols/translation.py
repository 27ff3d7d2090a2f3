"""What every protocol's translation offers, and what it may refuse.

A translation turns a client's frames into messages of a VoxFleet session (docs/speech-api.md, WebSocket) and the
session's events and audio into the frames that the client's plug-in reads. It keeps what the protocol numbers, and
nothing else.

Knows: the shape of a translation. Does not know: sockets, models, voices, when a message comes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Message = dict[str, Any]  # of a VoxFleet session, as JSON
Frame = str | bytes  # of the client's WebSocket: text or binary


class UnusableMessageError(Exception):
    """A client's frame, query or field that is not allowed; the text names the field, the value, the way out."""

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param  # the field, where OpenAI's form of an error names it


class Translation(Protocol):
    """One client's connection in another protocol."""

    def opened(self) -> list[Message]:
        """Return the messages that the handshake alone stands for. Raises UnusableMessageError."""

    def received(self, text: str) -> list[Message]:
        """Return the messages that a text frame stands for. Raises UnusableMessageError."""

    def event(self, event: Mapping[str, Any]) -> list[Frame]:
        """Return the frames by which the client learns of a session's event; none for what its protocol lacks."""

    def audio(self, data: bytes) -> list[Frame]:
        """Return the frames of the next bytes of audio."""

    def keep_alive(self) -> list[Frame]:
        """Return frames that change nothing, for a client that gives up on a silent server."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that the caller may use: its names in requests, and names of voices that it knows besides stored ones."""

    names: Sequence[str]  # one at least
    voices: Sequence[str] = field(default=())


def json_object(text: str, code: str = "invalid_value") -> dict[str, Any]:
    """Return the fields of a message. Raises UnusableMessageError with the protocol's code for what is no object."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableMessageError(f"the message must be a JSON object: {error}", code) from error
    if not isinstance(fields, dict):
        raise UnusableMessageError("the message must be a JSON object", code)
    return fields


def model_and_voice(requested: str, models: Sequence[ServedModel]) -> tuple[str, str]:
    """Return the model and the voice that one name means, in protocols that send only one.

    In this order: a model's name, with its default voice; a voice in a model's table; with one model, a voice that this
    model is asked for. Raises UnusableMessageError for a name that could be any of several models' voices.
    """
    if not models:
        raise UnusableMessageError("no model may be used with this key", "model_not_found")
    if not requested:
        return models[0].names[0], ""
    if any(requested in each.names for each in models):
        return requested, ""
    with_voice = next((each.names[0] for each in models if requested in each.voices), None)
    if with_voice is None and len(models) > 1:
        known = ", ".join([each.names[0] for each in models][:10])
        raise UnusableMessageError(
            f"'model' must be a model ({known}) or a voice in a model's spec.voices; given {requested[:80]!r}",
            "model_not_found",
        )
    return with_voice or models[0].names[0], requested
