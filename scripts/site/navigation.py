"""The site's navigation: docs/site.yml with a folder's pages in place of the folder.

Knows: the form of MkDocs' `nav`.
Does not know: links, or how the site is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from markdown_files import ROOT

CONFIG: Final = ROOT / "docs/site.yml"
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)

Entry = str | dict[str, Any]


def site_config() -> dict[str, Any]:
    """Return Zensical's configuration, its navigation complete."""
    config = dict(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    return {**config, "nav": _complete(config["nav"])}


def _complete(entries: list[Entry]) -> list[Entry]:
    listed = {entry for entry in entries if isinstance(entry, str)}
    return [page for entry in entries for page in _pages(entry, listed)]


def _pages(entry: Entry, listed: set[str]) -> Iterator[Entry]:
    """Yield what stands for an entry: itself with titles, or a folder's pages that are not listed beside it."""
    if isinstance(entry, dict):
        for title, under in entry.items():
            yield {title: _complete(under) if isinstance(under, list) else under}
    elif entry.endswith("/"):
        paths = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / entry).glob("*.md"))]
        yield from ({_title(path): path} for path in paths if path not in listed)
    else:
        yield {_title(entry): entry}


def _title(path: str) -> str:
    """Return a page's first heading, without its marks of code."""
    found = _TITLE.search((ROOT / path).read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{path} has no heading of the first level, by which the navigation could name it")
    return found[1].replace("`", "")


def pages_of(entries: list[Entry]) -> Iterator[str]:
    """Yield every page of a complete navigation."""
    for entry in entries:
        for under in entry.values() if isinstance(entry, dict) else [entry]:
            yield from pages_of(under) if isinstance(under, list) else [under]
