"""Checks a speech request before it is routed, so that one that a server would refuse wakes no GPU. Pure.

Knows: the fields that cost nothing to check, and their bounds.
Does not know: voices, which the servers keep; other fields, which are passed on unread.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from voxfleet_protocols.spoken_text import half_pair, has_speech

from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import bad_request, missing_field, too_many_values, wrong_field

MAX_JSON_VALUES = 10_000  # a speech request has some 20; its text may hold 4,096 commas
COUNTED_BYTES = 64 * 1024
MAX_INPUT_CHARACTERS = 4096  # as OpenAI's API and the inference server
SECONDS_PER_BYTE = 0.075
EVENTS = "sse"
RESPONSE_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw")
STREAM_FORMATS = ("audio", EVENTS)
SPEED_BOUNDS = (0.25, 4.0)  # as OpenAI's API
SAMPLE_RATE_BOUNDS = (8000, 96_000)  # of all formats; each server refuses those that one format lacks


@dataclass(slots=True)
class KeptBody:
    """The bytes of a request, kept once, for as long as another attempt may need them."""

    data: bytes
    on_release: Callable[[int], None] = lambda _count: None
    is_sent: bool = False  # to a pod, whole

    def release(self) -> None:
        """Drop the bytes, unless a pod that answers early is still being sent them."""
        if self.is_sent:
            self.on_release(len(self.data))
            self.data = b""

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A request whose fields passed the checks here; only its bytes are kept. A server may refuse it for others."""

    model: str
    body: KeptBody
    input_characters: int
    audio_seconds: float  # estimated
    response_format: str
    voice: str  # a name or an id; empty: the default
    wants_events: bool  # the response is an event stream, which comments can keep open while the request is held

    def naming(self, served_model: str, voice: str | None = None) -> "SpeechRequest":
        """Return the request with the model name that the server serves, and the voice that its name means.

        Itself when both are the same; without a voice only the model is named.
        """
        voice = self.voice if voice is None else voice
        if (self.model, self.voice) == (served_model, voice):
            return self
        fields = {**json.loads(self.body.data), "model": served_model} | ({"voice": voice} if voice else {})
        named = json.dumps(fields).encode()  # ASCII: lone surrogates pass too
        return replace(self, model=served_model, voice=voice, body=KeptBody(named, self.body.on_release))


def parse_model_name(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the model's name and the JSON's fields. Raises RequestRefusedError (400, or 413 for too many values)."""
    fields = parse_object(body)
    return named_model(fields), fields


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object. Raises RequestRefusedError (400, or 413 for too many values)."""
    _check_values(body)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(bad_request(f"The body is not valid JSON: {error}.", None, "invalid_json")) from error
    if not isinstance(fields, dict):
        raise RequestRefusedError(bad_request("The body must be a JSON object.", None, "invalid_json"))
    return fields


def named_model(fields: dict[str, Any]) -> str:
    """Return the model's name, which may be any string. Raises RequestRefusedError (400)."""
    model = fields.get("model")
    if not isinstance(model, str):
        raise RequestRefusedError(_wrong(fields, "model", "a string, the name of a model"))
    return model


def _check_values(body: bytes) -> None:
    """Refuse a document with many values before it is parsed: each becomes an object of some 60 bytes."""
    count = 0
    for start in range(0, len(body), COUNTED_BYTES):  # in parts, so that a dense document ends the count early
        # Every value follows one of these; those within strings count too, and a text has at most 4,096 characters.
        count += sum(body.count(mark, start, start + COUNTED_BYTES) for mark in (b",", b"[", b"{"))
        if count > MAX_JSON_VALUES:
            raise RequestRefusedError(too_many_values(MAX_JSON_VALUES))


def check_speech(model: str, fields: dict[str, Any], body: bytes) -> SpeechRequest:
    """Return the checked request. Raises RequestRefusedError (400), which names the field and its bounds."""
    _check_input(fields)
    check_output(fields)
    _check_choice(fields, "stream_format", STREAM_FORMATS)
    text = fields["input"]
    return SpeechRequest(
        model=model,
        body=KeptBody(body),
        input_characters=len(text),
        audio_seconds=estimated_audio_seconds(text),
        response_format=fields.get("response_format") or "mp3",
        voice=named_voice(fields),
        wants_events=fields.get("stream_format") == EVENTS,
    )


def named_voice(fields: dict[str, Any]) -> str:
    """Return the voice's name or id, given as a string or as OpenAI's `{"id": ...}`; empty for anything else."""
    voice = fields.get("voice")
    name = voice["id"] if isinstance(voice, dict) and voice.keys() == {"id"} else voice
    return name if isinstance(name, str) else ""


def check_output(fields: dict[str, Any]) -> None:
    """Check the fields that a session has too. Raises RequestRefusedError (400)."""
    if fields.get("voice") not in (None, named_voice(fields)) and not named_voice(fields):
        raise RequestRefusedError(_wrong(fields, "voice", 'the name or id of a voice, or {"id": ...}'))
    _check_choice(fields, "response_format", RESPONSE_FORMATS)
    _check_number(fields, "speed", SPEED_BOUNDS)
    _check_number(fields, "sample_rate", SAMPLE_RATE_BOUNDS)


def estimated_audio_seconds(text: str) -> float:
    """Return the length of a text's speech, as the server estimates it: a Chinese character weighs three letters."""
    return SECONDS_PER_BYTE * len(text.encode(errors="surrogatepass"))  # of UTF-8, which has the same weights


def _check_input(fields: dict[str, Any]) -> None:
    """Refuse what every server refuses. One that normalizes may find no speech in more texts, as in one of tags."""
    text = fields.get("input")
    if not isinstance(text, str):
        raise RequestRefusedError(_wrong(fields, "input", "a string with at least one letter or digit to speak"))
    bounds = f"a string of 1 to {MAX_INPUT_CHARACTERS} characters"
    if not text.strip():
        raise RequestRefusedError(
            wrong_field("input", bounds, "white space only" if text else "an empty string", "empty")
        )
    if len(text) > MAX_INPUT_CHARACTERS:
        raise RequestRefusedError(wrong_field("input", bounds, str(len(text)), "too_long"))
    if half := half_pair(text):
        raise RequestRefusedError(wrong_field("input", "text", half))
    if not has_speech(text):
        raise RequestRefusedError(wrong_field("input", "text with a letter or a digit to speak", repr(text), "empty"))


def _check_choice(fields: dict[str, Any], name: str, choices: tuple[str, ...]) -> None:
    given = fields.get(name)
    if given is not None and given not in choices:
        raise RequestRefusedError(_wrong(fields, name, f"one of {', '.join(choices)}"))


def _check_number(fields: dict[str, Any], name: str, bounds: tuple[float, float]) -> None:
    given, (low, high) = fields.get(name), bounds
    if given is None:
        return
    # bool is a subclass of int; true is no number.
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not low <= given <= high:
        raise RequestRefusedError(_wrong(fields, name, f"a number from {low:g} to {high:g}"))


def _wrong(fields: dict[str, Any], name: str, wanted: str) -> Refusal:
    return wrong_field(name, wanted, repr(fields[name])) if name in fields else missing_field(name, wanted)
