"""How long a request may be held: as long as its client waits, by the client's own word. Pure.

Knows: the headers in which clients name their read timeout or ask for a time (clients.md's table is the test's), what
is left for the answer, and the bounds of both.
Does not know: clocks; which region is waited for.
"""

import re
from collections.abc import Mapping

# openai-python sends the first with every request, openai-node the second when the caller set a timeout; both seconds.
READ_TIMEOUT_HEADERS = ("X-Stainless-Read-Timeout", "X-Stainless-Timeout")
RESPONSE_SECONDS = 5.0  # of the client's timeout: for the first byte of audio, and for a refusal to arrive
SECONDS = re.compile(r"\d{1,6}(?:\.\d{1,9})?", re.ASCII)
PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])", re.ASCII)  # RFC 7240, 4.3


def hold_seconds(
    headers: Mapping[str, str], *, wants_events: bool, default_seconds: float, most_seconds: float
) -> float:
    """Return how long the request may be held.

    `Prefer: wait=N` decides, else the stream of events, which comments keep open, else the client's read timeout, else
    the default of its key or gateway; never longer than the resource's holdSeconds, `most_seconds`.
    """
    preferred = PREFER_WAIT.search(headers.get("Prefer", ""))
    if preferred is not None:
        return min(float(preferred.group(1)), most_seconds)
    if wants_events:
        return most_seconds
    timeout_seconds = read_timeout_seconds(headers)
    if timeout_seconds is None:
        return min(default_seconds, most_seconds)
    return min(max(0.0, timeout_seconds - RESPONSE_SECONDS), most_seconds)


def read_timeout_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the client's read timeout; None when it names none, or something that is no plain number above 0."""
    for name in READ_TIMEOUT_HEADERS:
        given = headers.get(name, "").strip()
        if SECONDS.fullmatch(given) and float(given) > 0:
            return float(given)
    return None
