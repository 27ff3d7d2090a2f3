"""An API key among a WebSocket's subprotocols, where browsers have to put it: they cannot send `Authorization`.

Knows: OpenAI's convention for its realtime API: a client offers `realtime` and `openai-insecure-api-key.KEY`, and the
server takes `realtime`, so that no answer repeats the key.
Does not know: which keys are valid, or what is said over the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TAKEN: Final = "realtime"
_KEY_PREFIX: Final = "openai-insecure-api-key."


def offered_key(subprotocols: Sequence[str]) -> str:
    """The key that a client offers; empty when it offers none."""
    keys = (each.removeprefix(_KEY_PREFIX) for each in subprotocols if each.startswith(_KEY_PREFIX))
    return next(keys, "")


def taken(subprotocols: Sequence[str]) -> str | None:
    """What the server agrees to; never anything that holds a key. A browser that is answered with none hangs up."""
    return TAKEN if TAKEN in subprotocols else None
