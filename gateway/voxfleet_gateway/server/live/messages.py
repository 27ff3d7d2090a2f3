"""The messages of a session, as far as the gateway reads them. Pure.

Knows: which message begins a session, names its model and adds text; which events of a pod are the session's end.
Does not know: sockets; the fields that a pod checks.
"""

import json
from dataclasses import dataclass
from typing import Any

from voxfleet_gateway.errors import RequestRefusedError, UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.refusals import not_started
from voxfleet_gateway.server.requests.speech_request import check_output, named_model, parse_object

START, APPEND, CANCEL, END = "session.start", "text.append", "cancel", "session.end"
MAX_EVENT_CHARACTERS = 64 * 1024  # of a pod's event that is read here; a longer one is passed on unread


class PodReportedError(UpstreamFailedError):
    """An `error` event by which a pod ends a session before its audio; kept, for when no other pod can take over."""

    has_words = True

    def __init__(self, event: str, *, is_full: bool) -> None:
        super().__init__(UpstreamFailure.FULL if is_full else UpstreamFailure.ERROR_5XX, "error event")
        self.event = event
        self.is_full = is_full


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A session.start whose fields passed the checks here; a pod may refuse it for others."""

    model: str
    fields: dict[str, Any]

    def text(self, served_model: str, seed: int | None = None) -> str:
        """Return the message with the model name that the pod serves, and the seed that an earlier pod drew."""
        named = {**self.fields, "model": served_model} | ({} if seed is None else {"seed": seed})
        return json.dumps(named)  # ASCII: lone surrogates pass too

    def correct(self, fields: dict[str, Any], served_model: str) -> str:
        """Return a later session.start, sent because the pod refused this one, with the name that the pod serves."""
        is_same = fields.get("model") in {None, self.model}
        return json.dumps({**fields, "model": served_model} if is_same else fields)


def parse_client_message(text: str) -> dict[str, Any]:
    """Return a client's message. Raises RequestRefusedError (400, 413)."""
    return parse_object(text.encode(errors="surrogatepass"))


def parse_start(fields: dict[str, Any], default_model: str) -> SessionStart:
    """Return the checked session.start, with the query's model where it names none. Raises RequestRefusedError."""
    if fields.get("type") != START:
        raise RequestRefusedError(not_started())
    if default_model and fields.get("model") is None:
        fields = {**fields, "model": default_model}
    name = named_model(fields)
    check_output(fields)
    return SessionStart(name, fields)


def added_text(fields: dict[str, Any]) -> str:
    """Return the text that a message adds to the session; empty for one that adds none."""
    text = fields.get({START: "input", APPEND: "text"}.get(str(fields.get("type")), ""))
    return text if isinstance(text, str) else ""


def parse_event(text: str, most_characters: int = MAX_EVENT_CHARACTERS) -> dict[str, Any]:
    """Return a pod's event; empty for one that is not read here."""
    if len(text) > most_characters:
        return {}
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def check_event(event: dict[str, Any], text: str) -> None:
    """Raise PodReportedError for an error of the pod, not of the client's: the pod ends the session after it."""
    error = event.get("error") if event.get("type") == "error" else None
    if isinstance(error, dict) and error.get("type") == "server_error":
        raise PodReportedError(text, is_full="retry_after_seconds" in event)
