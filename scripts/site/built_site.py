"""The built site: nothing in it is loaded from another host, so that it works without a network.

Knows: the HTML and CSS that load something.
Does not know: links that a reader follows; those may lead anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

_LOADING: Final = {
    "script": ("src",), "img": ("src", "srcset"), "source": ("src", "srcset"), "iframe": ("src",), "video": ("src",),
    "audio": ("src",), "embed": ("src",), "object": ("data",), "use": ("href",), "form": ("action",),
}  # fmt: skip
_LOADING_RELATIONS: Final = {"stylesheet", "icon", "preconnect", "preload", "prefetch", "dns-prefetch", "modulepreload"}
_FOREIGN: Final = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)
_CSS_ADDRESS: Final = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:[a-z]+:)?//[^'\")\s]+)", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects the addresses on other hosts that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an address that a browser would request by itself."""
        given = {name: value or "" for name, value in attrs}
        names = _LOADING.get(tag, ())
        if tag == "link" and _LOADING_RELATIONS & set(given.get("rel", "").split()):
            names = ("href",)
        self.found += [given[name] for name in names if _FOREIGN.match(given.get(name, ""))]


def foreign_loads(site: Path) -> Iterator[str]:
    """Yield a line for each address on another host that a page or a style sheet loads."""
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        yield from (f"{page.relative_to(site)} loads {address}" for address in parser.found)
    for sheet in sorted(site.rglob("*.css")):
        addresses = _CSS_ADDRESS.findall(sheet.read_text(encoding="utf-8"))
        yield from (f"{sheet.relative_to(site)} loads {address}" for address in addresses)
