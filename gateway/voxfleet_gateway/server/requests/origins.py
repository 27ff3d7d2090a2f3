"""Whether a browser's page may use this gateway. Pure.

A browser lets every page send requests to every server and names the page in `Origin` (RFC 6454) or, without it, its
relation in `Sec-Fetch-Site` (W3C Fetch Metadata). Programs send neither.

Knows: which pages are the gateway's own, which others are allowed, and DNS rebinding: over plain HTTP a public name in
`Host` proves nothing. The inference server decides by the same rule; one table of cases tests both.
Does not know: which requests are checked, API keys.
"""

import ipaddress
import re
from functools import cache
from urllib.parse import SplitResult, urlsplit

ANY_ORIGIN = "*"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]*,]+)(:\d{1,5})?")
DEFAULT_PORTS = {"http": 80, "https": 443}
# No public name ends like this (RFC 6761, RFC 6762, RFC 8375, and `internal`, which ICANN keeps free).
PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa", ".test", ".svc")
FOREIGN_SITES = frozenset({"cross-site", "same-site"})


@cache
def parse_origins(written: str) -> frozenset[str]:
    """Read origins as in `https://app.example.com,http://localhost:3000`; `*` stands for all. Raises ValueError."""
    return frozenset(_parsed(part) for part in (each.strip() for each in written.split(",")) if part)


def is_allowed_page(origin: str | None, allowed: frozenset[str]) -> bool:
    """Whether the origin is one of those that are allowed by name."""
    return origin is not None and (ANY_ORIGIN in allowed or origin in allowed)


def is_foreign_page(origin: str | None, host: str, fetch_site: str, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether the request was sent by a page that is neither allowed nor this gateway's own."""
    if fetch_site == "same-origin" or ANY_ORIGIN in allowed:
        return False
    if origin is None:
        return fetch_site in FOREIGN_SITES
    return not (origin in allowed or _is_own(origin, host))


def _parsed(part: str) -> str:
    if part == ANY_ORIGIN:
        return part
    origin = part.lower()
    if ORIGIN.fullmatch(origin) is None:
        raise ValueError(f"{part!r} is no origin; write scheme://host or scheme://host:port without a path, or *")
    # Browsers omit the default port of a scheme.
    return origin.removesuffix(f":{DEFAULT_PORTS.get(origin.partition('://')[0])}")


def _is_own(origin: str, host: str) -> bool:
    """Whether `Origin` and `Host` name the same address, by a name that DNS rebinding cannot use."""
    page = _split(origin)
    here = _split(f"{page.scheme}://{host}") if page is not None else None
    if page is None or here is None or _address(page) != _address(here):
        return False
    return page.scheme == "https" or _is_private(page.hostname or "")  # over HTTPS a certificate proves the name


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid one
    except ValueError:
        return None
    return parts if parts.scheme in DEFAULT_PORTS and parts.hostname else None


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]


def _is_private(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(PRIVATE_ENDINGS)
    return True
