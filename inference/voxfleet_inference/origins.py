"""Decides which origins may use this server through a browser.

A browser lets every page send requests to every server, also to one on the user's own machine, and names the page's
origin in `Origin` (RFC 6454). Programs send no such header and are allowed; API keys decide about those.

Knows: how origins are written and compared, which pages are the server's own, and DNS rebinding: over plain HTTP, the
owner of a public name can point it at this machine, so a public name in `Host` proves nothing.
Does not know: HTTP frameworks, or which requests are checked.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

ANY_ORIGIN: Final = "*"
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]*,]+)(:\d{1,5})?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Endings that no public name has (RFC 6761, RFC 6762, RFC 8375, and `internal`, which ICANN keeps free).
_PRIVATE_ENDINGS: Final = (".localhost", ".local", ".internal", ".home.arpa", ".test", ".svc")
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})
_SHOWN_CHARACTERS: Final = 100  # of an origin, in a message


@dataclass(frozen=True, slots=True)
class Visit:
    """The headers with which a browser names a request's page and its target."""

    origin: str | None  # None: the browser left it out, or this is no browser
    host: str = ""  # the header Host
    site: str = ""  # the header Sec-Fetch-Site (W3C Fetch Metadata), which no script can set


def parse_origins(written: str) -> frozenset[str]:
    """Parse origins as in `https://app.example.com,http://localhost:3000`; `*` stands for all.

    Raises:
        ValueError: a part is no origin.
    """
    return frozenset(_parsed(part) for part in (each.strip() for each in written.split(",")) if part)


def checked_origins(written: str) -> str:
    """Return the argument when `parse_origins` accepts it; raise what that raises."""
    parse_origins(written)
    return written


def may_use(visit: Visit, allowed: frozenset[str]) -> bool:
    """Return whether the page may use this server; the gateway decides by the same rule."""
    if visit.site == "same-origin" or ANY_ORIGIN in allowed:
        return True
    if visit.origin is None:
        return visit.site not in _FOREIGN_SITES
    return visit.origin in allowed or _is_own_page(visit.origin, visit.host)


def rejection_message(origin: str) -> str:
    """Return the message for an origin that is not allowed, with the two ways out."""
    return (
        f"the page's origin, {origin[:_SHOWN_CHARACTERS]!r}, is not this server's own and is not allowed here: name it"
        " in --allowed-origins (VOXFLEET_ALLOWED_ORIGINS), or let the proxy in between pass `Host` on"
    )


def _parsed(part: str) -> str:
    if part == ANY_ORIGIN:
        return part
    origin = part.lower()
    if _ORIGIN.fullmatch(origin) is None:
        raise ValueError(f"{part!r} is no origin; write scheme://host or scheme://host:port without a path, or *")
    # Browsers omit the default port of a scheme.
    default_port = _DEFAULT_PORTS.get(origin.partition("://")[0])
    return origin.removesuffix(f":{default_port}")


def _is_own_page(origin: str, host: str) -> bool:
    """Return whether `Origin` and `Host` have the same address, by a name that DNS rebinding cannot use."""
    page = _split(origin)
    if page is None or page.scheme not in _DEFAULT_PORTS:
        return False
    here = _split(f"{page.scheme}://{host}")
    if here is None or _address(page) != _address(here):
        return False
    # Over HTTPS the server has proved its name by a certificate.
    return page.scheme == "https" or _is_private(page.hostname or "")


def _split(url: str) -> SplitResult | None:
    """Split a URL; None when it is not valid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid one
    except ValueError:
        return None
    return parts if parts.hostname else None


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]


def _is_private(name: str) -> bool:
    """Return whether no public DNS server resolves this name: an address, a single label, or a private ending."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE_ENDINGS)
    return True
