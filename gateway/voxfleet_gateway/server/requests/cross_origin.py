"""CORS for pages of allowed origins: preflights, and the headers that let a page read a response. Pure.

Knows: the Fetch standard's headers. Does not know: which pages may send requests at all (origins.py).
"""

import re
from collections.abc import Mapping

from voxfleet_gateway.server.requests.origins import is_allowed_page

METHODS = "GET, POST, DELETE"
EXPOSED = (
    "Voxfleet-Region, Voxfleet-Route, Voxfleet-Wake-Estimate, Voxfleet-Seed, Voxfleet-Sample-Rate, "
    "Voxfleet-Truncated-Sentences, X-Request-Id, Retry-After, X-Should-Retry, "
    "X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests, "
    "X-Ratelimit-Limit-Audio-Seconds, X-Ratelimit-Remaining-Audio-Seconds, X-Ratelimit-Reset-Audio-Seconds"
)
MAX_AGE_SECONDS = 7200  # browsers keep a preflight no longer
# Names only. `*` would not include Authorization, and OpenAI's client sends a dozen headers of its own.
REQUESTED = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,2048}")


def page_headers(origin: str | None, allowed: frozenset[str]) -> dict[str, str]:
    """Return the headers of a response that a page of this origin may read; empty when it may not.

    The own page needs none. No credentials: keys are sent in Authorization, never as cookies.
    """
    if origin is None or not is_allowed_page(origin, allowed):
        return {"Vary": "Origin"} if allowed else {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}


def preflight_headers(method: str, headers: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str] | None:
    """Return what a preflight of an allowed page is answered; None for any other request."""
    if method != "OPTIONS" or "Access-Control-Request-Method" not in headers:
        return None
    if not is_allowed_page(headers.get("Origin"), allowed):
        return None
    requested = headers.get("Access-Control-Request-Headers", "")
    return {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": requested if REQUESTED.fullmatch(requested) else "Authorization, Content-Type",
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
