"""Cartesia's protocol (`/tts/websocket`, `/tts/bytes`), as the plug-ins of LiveKit and Pipecat speak it.

A socket carries several contexts, each with messages of its own `context_id`: a context is a session, its first message
the session's start. Messages have a transcript, whether more follows (`continue`), or `cancel`; responses are chunk
(audio in base64), timestamps, flush_done, done and error. Source: Cartesia's API reference, "TTS (WebSocket)" and
"TTS (Bytes)".

Knows: that words are wanted only with `add_timestamps`; that plug-ins read nothing but text frames.
Does not know: sockets, how many contexts may be open, which voices there are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from voxfleet_protocols.translation import Frame, Message, ServedModel, UnusableMessageError, json_object

SOCKET_PATH: Final = "/tts/websocket"
BYTES_PATH: Final = "/tts/bytes"
MAX_CONTEXTS: Final = 16  # open at the same time on one socket
_MAX_ID_CHARACTERS: Final = 256
# Container and encoding of a request -> response_format.
_FORMATS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {("raw", "pcm_s16le"): "pcm", ("raw", "pcm_mulaw"): "mulaw", ("raw", "pcm_alaw"): "alaw"}
    | {("wav", "pcm_s16le"): "wav", ("mp3", ""): "mp3"}
)
_IN_FILES: Final = frozenset({"wav", "mp3"})  # which a socket cannot carry
_SPEEDS: Final[Mapping[str, float]] = MappingProxyType({"slow": 0.8, "normal": 1.0, "fast": 1.2})
_PARTIAL, _OK = 206, 200  # HTTP's statuses, which Cartesia repeats in its messages
_BAD_REQUEST, _FAILED, _UNAVAILABLE = 400, 500, 503
_STATUSES: Final[Mapping[str, int]] = MappingProxyType(  # of an error's type in OpenAI's form
    {"invalid_request_error": _BAD_REQUEST, "authentication_error": 401, "permission_error": 403}
    | {"rate_limit_error": 429, "requests": 429}
)


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """A client's message, and the context that it belongs to."""

    context_id: str
    fields: Message

    @property
    def is_cancel(self) -> bool:
        """Whether it interrupts its context, and begins none."""
        return self.fields.get("cancel") is True


def parse_message(text: str) -> ContextMessage:
    """Return a message with its context. Raises UnusableMessageError."""
    fields = json_object(text)
    context_id = fields.get("context_id") or ""
    if not isinstance(context_id, str) or len(context_id) > _MAX_ID_CHARACTERS:
        raise UnusableMessageError(f"'context_id' must be a string of at most {_MAX_ID_CHARACTERS} characters")
    return ContextMessage(context_id, fields)


def speech_fields(body: bytes, models: Sequence[ServedModel]) -> Message:
    """Return the speech request of an HTTP request. Raises UnusableMessageError."""
    fields = json_object(body.decode(errors="replace"))
    text = fields.get("transcript")
    if not isinstance(text, str) or not text.strip():
        raise UnusableMessageError("the body must be JSON with a 'transcript' to speak")
    return {**_request(fields, models), "input": text}


class CartesiaContext:
    """One context of a socket: a session."""

    def __init__(self, first: ContextMessage, models: Sequence[ServedModel]) -> None:
        """Take the context's first message. Raises UnusableMessageError, before any session exists."""
        self.context_id = first.context_id
        self._start = _request(first.fields, models)
        if self._start["response_format"] in _IN_FILES:
            raise UnusableMessageError("'output_format.container' must be raw on a socket")
        self._start["word_timestamps"] = first.fields.get("add_timestamps") is True
        self._flushed = 0
        self._has_started, self._has_failed = False, False
        self.is_over = False  # what comes with its id from now on begins another context

    @property
    def model(self) -> str:
        """The name of the model that the context asks for."""
        return str(self._start["model"])

    @property
    def voice(self) -> str:
        """The voice that the context asks for; empty for the default."""
        return str(self._start.get("voice", ""))

    def opened(self) -> list[Message]:
        """Return the session.start; the text of the first message comes with `received`."""
        return [{"type": "session.start", **self._start}]

    def received(self, text: str) -> list[Message]:
        """Return what a message stands for."""
        fields = parse_message(text).fields
        if fields.get("cancel") is True:
            return [{"type": "cancel"}, {"type": "session.end"}]
        transcript = fields.get("transcript", "")
        if not isinstance(transcript, str):
            raise UnusableMessageError("'transcript' must be a string")
        messages: list[Message] = [{"type": "text.append", "text": transcript}] if transcript else []
        if fields.get("continue") is not True:
            return [*messages, {"type": "session.end"}]
        # Without a delay a message is a whole sentence; else the text is cut where its sentences end.
        is_flushed = fields.get("flush") is True or fields.get("max_buffer_delay_ms") == 0
        return [*messages, {"type": "text.flush"}] if is_flushed and (transcript.strip() or not messages) else messages

    def event(self, event: Mapping[str, Any]) -> list[Frame]:
        """Return timestamps, flush_done, done or error."""
        match event.get("type"):
            case "session.started":
                self._has_started = True
            case "sentence.timestamps":
                return [self._timestamps(event)]
            case "flushed":
                return self.keep_alive()
            case "session.done":
                self.is_over = True
                return [] if self._has_failed else [self._frame("done", done=True, status_code=_OK)]
            case "error":
                return [self._error(event.get("error") or {}, may_retry="retry_after_seconds" in event)]
        return []

    def audio(self, data: bytes) -> list[Frame]:
        """Return the audio in a chunk."""
        encoded = base64.b64encode(data).decode()
        return [self._frame("chunk", data=encoded, done=False, status_code=_PARTIAL, step_time=0.0)]

    def keep_alive(self) -> list[Frame]:
        """Return flush_done, which plug-ins skip at any time."""
        self._flushed += 1
        return [self._frame("flush_done", flush_done=True, flush_id=self._flushed, done=False, status_code=_PARTIAL)]

    def _timestamps(self, event: Mapping[str, Any]) -> Frame:
        words = event.get("words") or ()
        columns = {
            name: [each[key] for each in words] for name, key in (("words", "word"), ("start", "start"), ("end", "end"))
        }
        return self._frame("timestamps", word_timestamps=columns, done=False, status_code=_PARTIAL)

    def _error(self, error: Mapping[str, Any], *, may_retry: bool) -> Frame:
        # A wrong message leaves the session open; a session that never began, or that the server ends, is over.
        is_warning = self._has_started and error.get("type") == "invalid_request_error"
        self._has_failed = self.is_over = self._has_failed or not is_warning
        status = _STATUSES.get(str(error.get("type")), _UNAVAILABLE if may_retry else _FAILED)
        return error_frame(self.context_id, str(error.get("message", "")), str(error.get("code") or "unknown"), status)

    def _frame(self, kind: str, **fields: Any) -> Frame:
        return json.dumps({"type": kind, "context_id": self.context_id, **fields}, ensure_ascii=False)


def error_frame(context_id: str, message: str, code: str, status: int = _BAD_REQUEST) -> Frame:
    """Return an error of a context; `done` is false, since LiveKit would take a true one for the end of its audio."""
    fields = {"type": "error", "context_id": context_id, "error": message, "title": code, "error_code": code}
    return json.dumps({**fields, "done": False, "status_code": status}, ensure_ascii=False)


def error_body(message: str, code: str, request_id: str) -> Message:
    """Return the JSON of a refused HTTP request, as Cartesia's clients read it."""
    return {"error_code": code, "title": code, "message": message, "request_id": request_id}


def _request(fields: Message, models: Sequence[ServedModel]) -> Message:
    voice = _voice(fields.get("voice"))
    output = fields.get("output_format") or {}
    if not isinstance(output, dict):
        raise UnusableMessageError("'output_format' must be an object with container, encoding and sample_rate")
    container = str(output.get("container", "raw"))
    encoding = "" if container == "mp3" else str(output.get("encoding", "pcm_s16le"))
    response_format = _FORMATS.get((container, encoding))
    if response_format is None:
        known = ", ".join(" ".join(each).strip() for each in _FORMATS)
        given = f"{container} {encoding}"[:60]
        raise UnusableMessageError(f"'output_format' must be one of {known}; given {given!r}")
    optional = {"voice": voice or None, "sample_rate": output.get("sample_rate"), "speed": _speed(fields)}
    given_fields = {name: value for name, value in optional.items() if value is not None}
    model = _model(str(fields.get("model_id") or ""), voice, models)
    return {"model": model, "response_format": response_format, **given_fields}


def _model(model_id: str, voice: str, models: Sequence[ServedModel]) -> str:
    """Return the model: by its name, by the voice in its table, or the only one (plug-ins name Cartesia's own)."""
    if not models:
        raise UnusableMessageError("no model may be used with this key", "model_not_found")
    if any(model_id in each.names for each in models):
        return model_id
    with_voice = next((each.names[0] for each in models if voice in each.voices), None)
    if with_voice is None and len(models) > 1:
        known = ", ".join([each.names[0] for each in models][:10])
        message = (
            f"'model_id' must be a model ({known}), or 'voice' one in a model's spec.voices; given {model_id[:80]!r}"
        )
        raise UnusableMessageError(message, "model_not_found")
    return with_voice or models[0].names[0]


def _voice(given: Any) -> str:
    """Return the name of a voice: {"mode": "id", "id": NAME}, NAME, or null for the default."""
    name = given.get("id") if isinstance(given, dict) else given
    if isinstance(given, dict) and given.get("mode", "id") != "id":
        raise UnusableMessageError("'voice.mode' must be id; voices by embedding are not offered")
    if name is None:
        return ""
    if not isinstance(name, str):
        raise UnusableMessageError('\'voice\' must be a name or {"mode": "id", "id": NAME}')
    return name


def _speed(fields: Message) -> float | None:
    generation = fields.get("generation_config")
    given = generation.get("speed") if isinstance(generation, dict) else fields.get("speed")
    if isinstance(given, str):
        given = _SPEEDS.get(given, given)
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool)):
        return given
    raise UnusableMessageError(f"'speed' must be a number or one of {', '.join(_SPEEDS)}; given {str(given)[:40]!r}")
