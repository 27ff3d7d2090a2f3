"""The messages of a session and its close codes, from the models that the speech server parses and sends.

Knows: where the models are.
Does not know: the order of messages; docs/speech-api.md shows a whole session.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pydantic import TypeAdapter
from voxfleet_inference.server.live.client_messages import MESSAGES, SessionStart
from voxfleet_inference.server.live.server_messages import ServerMessage
from voxfleet_inference.server.live.websocket import CLOSE_CODES

from reference.fields import fields_of, sent_fields_of
from reference.schema_words import Schema, table


def client_messages() -> Iterator[str]:
    """Yield a section for each message that a client sends."""
    for name, message in MESSAGES.items():
        yield from _section(name, message, fields_of(_schema(message)))


def server_messages() -> Iterator[str]:
    """Yield a section for each message that the server sends."""
    for message in get_args(ServerMessage):
        yield from _section(message.kind, message, sent_fields_of(_schema(message)))


def _section(name: str, message: type, fields: list[str]) -> list[str]:
    return [f"### `{name}`", "", _meaning(message), "", *fields, ""]


def session_messages() -> list[str]:
    """Return both directions at a glance."""
    sent = [(f"`{name}`", _names(message), _meaning(message)) for name, message in MESSAGES.items()]
    received = [(f"`{each.kind}`", _names(each), _meaning(each)) for each in get_args(ServerMessage)]
    return [
        *table(("client sends", "fields", "effect"), sent),
        "",
        *table(("server sends", "fields", "meaning"), [*received, ("binary frame", "", "Audio.")]),
    ]


def close_codes() -> list[str]:
    """Return how sessions end."""
    return table(("close code", "when"), ((str(int(code)), ending.value) for ending, code in CLOSE_CODES.items()))


def _meaning(message: type) -> str:
    return str(message.__doc__).splitlines()[0]


def _names(message: type) -> str:
    if message is SessionStart:
        return "those of a speech request; `input` is optional"
    return ", ".join(f"`{name}`" for name in _schema(message).get("properties", {}))


def _schema(message: type) -> Schema:
    return TypeAdapter(message).json_schema()
