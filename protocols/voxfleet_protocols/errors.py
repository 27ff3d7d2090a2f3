"""Errors of HTTP requests in the form of the protocol that a path belongs to.

Every error is made in OpenAI's form first, wherever it comes from: a check, a pod, the limits, a missing key. On the
paths of other protocols it is written anew before it is sent, so that no refusal can miss its form.

Knows: which paths have which form, OpenAI's form.
Does not know: which errors there are, HTTP's statuses and how responses are sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from voxfleet_protocols import cartesia, deepgram
from voxfleet_protocols.translation import Message

_SHOWN_CHARACTERS: Final = 300  # of a body that has not OpenAI's form


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """One protocol's form of an error."""

    body: Callable[[str, str, str], Message]  # from message, code and request id
    default_code: str  # of an error that has none
    request_id_header: str = ""  # in which the protocol's clients look for the id, besides X-Request-Id


_DEEPGRAM: Final = ErrorForm(deepgram.error_body, "INVALID_QUERY_PARAMETER", "dg-request-id")
_CARTESIA: Final = ErrorForm(cartesia.error_body, "invalid_request")
_FORMS: Final[Mapping[str, ErrorForm]] = MappingProxyType(
    {deepgram.PATH: _DEEPGRAM, cartesia.BYTES_PATH: _CARTESIA, cartesia.SOCKET_PATH: _CARTESIA}
)


def form_of(path: str) -> ErrorForm | None:
    """Return the form of the errors of a path, with or without slashes at its end; None for OpenAI's."""
    return _FORMS.get(path.rstrip("/"))


def in_form(form: ErrorForm, openai_body: bytes, request_id: str) -> bytes:
    """Return an error, given as the body in OpenAI's form, in this form; any other body is its message."""
    error = _openai_error(openai_body)
    code = str(error.get("code") or form.default_code)
    return json.dumps(form.body(str(error.get("message", "")), code, request_id)).encode()


def _openai_error(body: bytes) -> Mapping[str, Any]:
    text = body.decode(errors="replace")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    error = fields.get("error") if isinstance(fields, dict) else None
    return error if isinstance(error, dict) else {"message": text[:_SHOWN_CHARACTERS]}
