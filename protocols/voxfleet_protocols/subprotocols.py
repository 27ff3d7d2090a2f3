"""API keys in a WebSocket's subprotocols: scripts in browsers cannot set `Authorization` there.

Knows: the conventions of OpenAI's realtime API (`realtime` and `openai-insecure-api-key.KEY`) and of Deepgram's SDK
(`token` and KEY). A server selects the name, so that no response repeats the key.
Does not know: which keys are valid, or what is sent over the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SCHEMES: Final = ("token", "bearer")  # Deepgram's: the key is what follows
SELECTABLE: Final = ("realtime", *_SCHEMES)
_KEY_PREFIX: Final = "openai-insecure-api-key."


def offered_key(subprotocols: Sequence[str]) -> str:
    """Return the offered key; empty when there is none."""
    keys = (each.removeprefix(_KEY_PREFIX) for each in subprotocols if each.startswith(_KEY_PREFIX))
    after_scheme = subprotocols[1] if len(subprotocols) > 1 and subprotocols[0] in _SCHEMES else ""
    return next(keys, after_scheme)


def taken(subprotocols: Sequence[str]) -> str | None:
    """Return the subprotocol that the server selects, never one with a key; browsers close when none is selected."""
    return next((each for each in subprotocols if each in SELECTABLE), None)
