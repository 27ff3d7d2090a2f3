"""Checks a request's head before its handler runs. Pure.

Knows: which framing and which browsers' pages are refused. Does not know: routes, bodies, keys.
"""

from multidict import CIMultiDictProxy

from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals import foreign_page, unknown_framing
from voxfleet_gateway.server.requests.origins import is_foreign_page

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: they spend nothing


def refusal_of_head(
    method: str, version: tuple[int, int], headers: CIMultiDictProxy[str], allowed_origins: frozenset[str] = frozenset()
) -> Refusal | None:
    """Return why a request is refused by its head alone, or None."""
    transfer = [each.strip().lower() for each in headers.getall("Transfer-Encoding", [])]
    # RFC 9112, 6.1: codings beside chunked are not understood here, and HTTP/1.0 has none at all.
    if transfer and (transfer != ["chunked"] or version < (1, 1)):
        return unknown_framing()
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "")
    # A WebSocket's handshake is a GET that any page may send, and its messages spend as much as a POST.
    is_safe = method in SAFE_METHODS and "Upgrade" not in headers
    if not is_safe and is_foreign_page(origin, headers.get("Host", ""), site, allowed_origins):
        return foreign_page(origin or site)
    return None
