"""Which websites may use this server through a visitor's browser.

A browser lets every page send requests anywhere, also to a server on the visitor's own machine, and says in `Origin`
whose page it was. Programs send no such header and are let in; what they may do is the API key's business.

Knows: how origins are written and compared, which pages are a server's own, and that over plain HTTP anybody's DNS name
can be made to mean this machine (DNS rebinding), so that such a name proves nothing.
Does not know: HTTP frameworks, or which requests it is about.
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
_PRIVATE_ENDINGS: Final = (".localhost", ".local", ".internal", ".home.arpa", ".test")
_SHOWN_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser says about where a request comes from and where it goes."""

    origin: str
    host: str = ""  # the header Host
    site: str = ""  # the header Sec-Fetch-Site: the browser's own judgement, which no script can set


def parse_origins(written: str) -> frozenset[str]:
    """The origins in `https://app.example.com,http://localhost:3000`, as browsers write them; `*` is every one.

    Raises:
        ValueError: it is not written so.
    """
    return frozenset(_parsed(part) for part in (each.strip() for each in written.split(",")) if part)


def checked_origins(written: str) -> str:
    """The same, if it can be read. Raises what `parse_origins` raises."""
    parse_origins(written)
    return written


def may_use(visit: Visit, allowed: frozenset[str]) -> bool:
    """Whether this page may have what it asks for."""
    return ANY_ORIGIN in allowed or visit.origin in allowed or visit.site == "same-origin" or _is_own_page(visit)


def refusal_message(origin: str) -> str:
    """What to tell whoever wonders why."""
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
    default_port = _DEFAULT_PORTS.get(origin.partition("://")[0])
    return origin.removesuffix(f":{default_port}")


def _is_own_page(visit: Visit) -> bool:
    """Whether the page came from where the request goes, under a name that only this server's owner can give it."""
    page = _split(visit.origin)
    if page is None or page.scheme not in _DEFAULT_PORTS:
        return False
    here = _split(f"{page.scheme}://{visit.host}")
    if here is None or _address(page) != _address(here):
        return False
    return page.scheme == "https" or _is_private(page.hostname or "")


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]


def _is_private(name: str) -> bool:
    """Whether no stranger's DNS server can answer for this name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE_ENDINGS)
    return True
