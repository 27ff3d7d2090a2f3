"""API keys in a WebSocket's subprotocols: scripts in browsers cannot set `Authorization` there.

Knows: the convention of OpenAI's realtime API: a client offers `realtime` and `openai-insecure-api-key.KEY`, and the
server selects `realtime`, so that no response repeats the key.
Does not know: which keys are valid, or what is sent over the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TAKEN: Final = "realtime"
_KEY_PREFIX: Final = "openai-insecure-api-key."


def offered_key(subprotocols: Sequence[str]) -> str:
    """Return the offered key; empty when there is none."""
    keys = (each.removeprefix(_KEY_PREFIX) for each in subprotocols if each.startswith(_KEY_PREFIX))
    return next(keys, "")


def taken(subprotocols: Sequence[str]) -> str | None:
    """Return the subprotocol that the server selects, never one with a key; browsers close when none is selected."""
    return TAKEN if TAKEN in subprotocols else None
