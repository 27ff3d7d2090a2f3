"""API keys in a WebSocket's subprotocols: scripts in browsers cannot set `Authorization` there. Pure.

Knows: the convention of OpenAI's realtime API, as the inference server has it: a client offers `realtime` and
`openai-insecure-api-key.KEY`, and the server selects `realtime`, so that no response repeats the key.
Does not know: which keys are valid.
"""

from collections.abc import Iterable

TAKEN = "realtime"
KEY_PREFIX = "openai-insecure-api-key."
HEADER = "Sec-WebSocket-Protocol"


def offered_key(headers: Iterable[str]) -> str:
    """Return the key that is offered in these Sec-WebSocket-Protocol headers; empty when there is none."""
    offered = (each.strip() for header in headers for each in header.split(","))
    return next((each.removeprefix(KEY_PREFIX) for each in offered if each.startswith(KEY_PREFIX)), "")
