"""Checks a speech request at the door, so that one that will be refused anyway wakes no GPU. Pure.

Knows: the fields that cost nothing to check, and their bounds. Does not know: voices, which belong to the servers;
fields it does not know pass unread.
"""

import json
from dataclasses import dataclass
from typing import Any

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.responses import bad_request

MAX_INPUT_CHARACTERS = 4096
EVENTS = "sse"
RESPONSE_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
STREAM_FORMATS = ("audio", EVENTS)
SPEED_BOUNDS = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A request that a server may still refuse, but not for anything checked here."""

    model: str
    fields: dict[str, Any]
    body: bytes

    @property
    def input_characters(self) -> int:
        """How much there is to speak."""
        return len(self.fields["input"])

    @property
    def wants_events(self) -> bool:
        """Whether the answer is a stream of events, which can be kept alive while the request is held."""
        return self.fields.get("stream_format") == EVENTS

    def body_for(self, served_model: str) -> bytes:
        """The body as the server expects it: under the name that it serves."""
        if self.model == served_model:
            return self.body
        return json.dumps({**self.fields, "model": served_model}).encode()  # ASCII: lone surrogates pass too


def parse_model_name(body: bytes) -> tuple[str, dict[str, Any]]:
    """Read the JSON and the model's name."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(bad_request(f"The body is not valid JSON: {error}.", None, "invalid_json")) from error
    if not isinstance(fields, dict):
        raise RequestRefusedError(bad_request("The body must be a JSON object.", None, "invalid_json"))
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise RequestRefusedError(bad_request(f"'model' must be a non-empty string, not {_given(model)}.", "model"))
    return model, fields


def check_speech(model: str, fields: dict[str, Any], body: bytes) -> SpeechRequest:
    """Check what can be checked without a server."""
    _check_input(fields.get("input"))
    _check_choice(fields, "response_format", RESPONSE_FORMATS)
    _check_choice(fields, "stream_format", STREAM_FORMATS)
    _check_speed(fields.get("speed"))
    return SpeechRequest(model, fields, body)


def _check_input(text: Any) -> None:
    if not isinstance(text, str):
        raise RequestRefusedError(bad_request(f"'input' must be a string, not {_given(text)}.", "input"))
    if not text.strip():
        raise RequestRefusedError(
            bad_request(f"'input' must have 1 to {MAX_INPUT_CHARACTERS} characters; it is empty.", "input")
        )
    if len(text) > MAX_INPUT_CHARACTERS:
        message = f"'input' must have 1 to {MAX_INPUT_CHARACTERS} characters, not {len(text)}."
        raise RequestRefusedError(bad_request(message, "input"))


def _check_choice(fields: dict[str, Any], name: str, choices: tuple[str, ...]) -> None:
    given = fields.get(name)
    if given is not None and given not in choices:
        raise RequestRefusedError(
            bad_request(f"'{name}' must be one of {', '.join(choices)}, not {given!r:.80}.", name)
        )


def _check_speed(speed: Any) -> None:
    low, high = SPEED_BOUNDS
    if speed is None:
        return
    number = isinstance(speed, int | float) and not isinstance(speed, bool)
    if not number or not low <= speed <= high:
        raise RequestRefusedError(
            bad_request(f"'speed' must be a number from {low} to {high}, not {speed!r:.80}.", "speed")
        )


def _given(value: Any) -> str:
    names = {
        type(None): "absent",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "an empty string")
