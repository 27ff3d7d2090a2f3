"""Deepgram's Speak protocol (`/v1/speak`), as its own SDK and the plug-ins of LiveKit and Pipecat speak it.

The query names voice and audio; messages are Speak, Flush, Clear and Close; responses are binary audio, Metadata,
Flushed, Cleared, Warning and Error. Source: Deepgram's API reference, "TTS WebSocket" and "Text to Speech REST".

Knows: that `model` is a voice there; that a client waits for Flushed before it sends its next turn.
Does not know: which voices there are; HTTP.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from voxfleet_protocols.translation import (
    Frame,
    Message,
    ServedModel,
    UnusableMessageError,
    json_object,
    model_and_voice,
)

PATH: Final = "/v1/speak"
DEFAULT_SAMPLE_RATE: Final = 24_000
# Encoding and container of a request -> response_format.
_FORMATS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("linear16", "none"): "pcm",
        ("linear16", "wav"): "wav",
        ("mulaw", "none"): "mulaw",
        ("alaw", "none"): "alaw",
        ("mp3", "none"): "mp3",
        ("opus", "ogg"): "opus",
        ("flac", "none"): "flac",
        ("aac", "none"): "aac",
    }
)
# Where none is named. Of mulaw and alaw Deepgram sends WAV too, which is not offered: clients must name `none`.
_CONTAINER: Final[Mapping[str, str]] = MappingProxyType(
    {"linear16": "wav", "mulaw": "wav", "alaw": "wav", "opus": "ogg"}
)
_SESSION_ENCODINGS: Final = ("linear16", "mulaw", "alaw")
_MESSAGES: Final = ("Speak", "Flush", "Clear", "Close")
_WRONG_MESSAGE: Final = frozenset({"DATA-0000", "binary_message"})  # also while a gateway holds the session's start


@dataclass(frozen=True, slots=True)
class DeepgramQuery:
    """The query of a connection or request, checked."""

    model: str
    voice: str
    encoding: str
    response_format: str
    sample_rate: int | None
    speed: float | None

    @property
    def fields(self) -> Message:
        """The fields of a speech request."""
        optional = {"voice": self.voice or None, "sample_rate": self.sample_rate, "speed": self.speed}
        given = {name: value for name, value in optional.items() if value is not None}
        return {"model": self.model, "response_format": self.response_format, **given}


def parse_query(query: Mapping[str, str], models: Sequence[ServedModel], *, is_session: bool) -> DeepgramQuery:
    """Check a query. Raises UnusableMessageError, which names the parameter."""
    model, voice = model_and_voice(query.get("model", ""), models)
    encoding = query.get("encoding", "linear16" if is_session else "mp3")
    container = "none" if is_session else query.get("container", _CONTAINER.get(encoding, "none"))
    response_format = _FORMATS.get((encoding, container))
    if is_session and encoding not in _SESSION_ENCODINGS:
        known = ", ".join(_SESSION_ENCODINGS)
        raise UnusableMessageError(f"'encoding' must be one of {known} in a session; given {encoding[:40]!r}")
    if response_format is None:
        known = ", ".join(f"{name} in {box}" for name, box in _FORMATS)
        raise UnusableMessageError(
            f"'encoding' and 'container' must be one of {known}; given {encoding[:40]!r} in {container[:40]!r}"
        )
    rate = _number(query, "sample_rate")
    if rate is None and encoding == "linear16":
        rate = DEFAULT_SAMPLE_RATE
    if rate is not None and rate != int(rate):
        raise UnusableMessageError(f"'sample_rate' must be a whole number of Hz; given {query['sample_rate'][:40]!r}")
    return DeepgramQuery(
        model, voice, encoding, response_format, None if rate is None else int(rate), _number(query, "speed")
    )


class DeepgramSession:
    """A client's WebSocket."""

    def __init__(self, query: DeepgramQuery, request_id: str) -> None:
        self._query, self._request_id = query, request_id
        self._flushed, self._cleared = 0, 0
        self._has_started = False

    def opened(self) -> list[Message]:
        """Return the session.start of the query."""
        return [{"type": "session.start", **self._query.fields}]

    def received(self, text: str) -> list[Message]:
        """Return what a message stands for."""
        fields = json_object(text, "DATA-0000")
        match fields.get("type"):
            case "Speak":
                spoken = fields.get("text")
                if not isinstance(spoken, str):
                    raise UnusableMessageError("'text' must be a string", "DATA-0000")
                return [{"type": "text.append", "text": spoken}] if spoken else []
            case "Flush":
                return [{"type": "text.flush"}]
            case "Clear":
                return [{"type": "cancel"}]
            case "Close":
                return [{"type": "session.end"}]
        given = str(fields.get("type"))[:40]
        raise UnusableMessageError(f"'type' must be one of {', '.join(_MESSAGES)}; given {given!r}", "DATA-0000")

    def event(self, event: Mapping[str, Any]) -> list[Frame]:
        """Return Metadata, Flushed, Cleared, Warning or Error."""
        match event.get("type"):
            case "session.started":
                self._has_started = True
                return self.keep_alive()
            case "flushed":
                self._flushed += 1
                return [_frame("Flushed", sequence_id=self._flushed - 1)]
            case "cancelled":
                self._cleared += 1
                return [_frame("Cleared", sequence_id=self._cleared - 1)]
            case "error":
                return [self._error(event.get("error") or {})]
        return []

    def audio(self, data: bytes) -> list[Frame]:
        """Return the audio as it is."""
        return [data]

    def keep_alive(self) -> list[Frame]:
        """Return Metadata, which clients read at any time."""
        named = {"model_name": self._query.voice or self._query.model, "model_version": "1", "model_uuid": ""}
        return [_frame("Metadata", request_id=self._request_id, **named)]

    def _error(self, error: Mapping[str, Any]) -> Frame:
        # A wrong message leaves the session open; a session that never began, or that the server ends, does not.
        is_known = self._has_started or error.get("code") in _WRONG_MESSAGE
        is_warning = is_known and error.get("type") == "invalid_request_error"
        kind = "Warning" if is_warning else "Error"
        return _frame(kind, description=str(error.get("message", "")), code=str(error.get("code") or "UNKNOWN"))


def error_body(message: str, code: str, request_id: str) -> Message:
    """Return the JSON of a refused HTTP request, as Deepgram's clients read it."""
    return {"err_code": code, "err_msg": message, "request_id": request_id}


def speech_fields(query: DeepgramQuery, body: bytes) -> Message:
    """Return the speech request of an HTTP request. Raises UnusableMessageError."""
    text = json_object(body.decode(errors="replace"), "DATA-0000").get("text")
    if not isinstance(text, str) or not text.strip():
        raise UnusableMessageError("the body must be JSON with a 'text' to speak", "PAYLOAD_ERROR")
    return {**query.fields, "input": text}


def _number(query: Mapping[str, str], name: str) -> float | None:
    given = query.get(name)
    if not given:
        return None
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnusableMessageError(f"'{name}' must be a number; given {given[:40]!r}")
    return number


def _frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)
