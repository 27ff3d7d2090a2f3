"""Markdown files of this repository: their headings' anchors, their links, and the pages that the site has.

Knows: Markdown as GitHub and the site both read it.
Does not know: HTML, Zensical, or what a page is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from markdown.extensions.toc import slugify  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).parents[2]
_PAGE_PATTERNS: Final = ("*.md", "docs/**/*.md", "examples/*.md")
_LINK: Final = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING: Final = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_ANCHOR: Final = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Link:
    """A link's place and target, as written."""

    page: Path
    line: int
    target: str

    @property
    def is_external(self) -> bool:
        """Whether it leaves the repository: it is listed and never requested."""
        return ":" in self.target.split("/", 1)[0]

    @property
    def file(self) -> Path:
        """The file that it names; the page itself for a bare anchor."""
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        """What follows the number sign."""
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        """Format as linters do."""
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.target}"


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside of fenced blocks."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            yield number, line


@cache
def links_of(page: Path) -> tuple[Link, ...]:
    """Return the links of a page, those inside of code left out."""
    lines = prose_lines(page.read_text(encoding="utf-8"))
    return tuple(
        Link(page, number, match[1])
        for number, line in lines
        for match in _LINK.finditer(re.sub(r"`[^`]*`", "c", line))
    )


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return the anchors of a page; a heading that occurs twice has one with a number too."""
    found: set[str] = set()
    for _, line in prose_lines(page.read_text(encoding="utf-8")):
        found.update(_ANCHOR.findall(line))
        if heading := _HEADING.match(line):
            found.add(_unused(slugify(_plain(heading[1]), "-"), found))
    return frozenset(found)


def _plain(heading: str) -> str:
    return re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda match: match[1] or "", heading)


def _unused(slug: str, used: set[str]) -> str:
    number = 1
    while slug in used:
        slug = f"{re.sub(r'_[0-9]+$', '', slug)}_{number}"
        number += 1
    return slug


def pages_of_repository() -> list[Path]:
    """Return the pages that the site has by their place; what these link to comes along."""
    return sorted({path for pattern in _PAGE_PATTERNS for path in ROOT.glob(pattern)})


def with_linked_files(pages: Iterable[Path]) -> list[Path]:
    """Add the files of the repository that pages link to, and that these link to."""
    found: set[Path] = set()
    pending = list(pages)
    while pending:
        path = pending.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        if path.suffix == ".md":
            pending += [link.file for link in links_of(path) if not link.is_external]
    return sorted(found)


def broken_links(pages: Iterable[Path]) -> list[str]:
    """Return a line for each link to a file or anchor that does not exist."""
    return [f"{link}: {why}" for page in pages for link in links_of(page) if (why := _fault_of(link))]


def _fault_of(link: Link) -> str:
    if link.is_external:
        return ""
    if not link.file.is_relative_to(ROOT):
        return "lies outside of the repository"
    if not link.file.is_file():
        return "is no file"
    if link.anchor and link.file.suffix == ".md" and link.anchor not in anchors_of(link.file):
        return f"has no such heading; it has {', '.join(sorted(anchors_of(link.file)))}"
    return ""


def external_links(pages: Iterable[Path]) -> list[str]:
    """Return every address outside of the repository that pages link to, once, in order."""
    return sorted({link.target for page in pages for link in links_of(page) if link.is_external})
