"""The commands in docs: fenced blocks split into commands, each with the reason why no test runs it, if it is marked.

A comment right above a block marks it:  <!-- not run: REASON -->
It may name programs of the block alone: <!-- not run (jq, kubectl): REASON -->

Knows: Markdown's fences, and a shell's continued lines, pipes and comments as far as docs use them.
Does not know: what a command does, or how it is tested (tests/unit/docs, tests/integration/docs).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_files import ROOT

SHELLS: Final = frozenset({"sh", "bash", "console"})
# By these a block without a language is known to hold commands and no output.
_PROGRAMS: Final = frozenset(
    {
        "make",
        "helm",
        "kubectl",
        "curl",
        "docker",
        "gcloud",
        "az",
        "git",
        "voxfleet",
        "voxfleet-inference",
        "voxfleet-gateway",
    }
    | {"voxfleet-operator", "inference/start.sh", "python", "pip", "dig"}
)
_FENCE: Final = re.compile(r"^(\s*)(`{3,})([a-z]*)\s*$")
# A query of Prometheus that stands among commands, as runbooks have them.
_QUERY: Final = re.compile(r"^(?:sum|max|min|avg|count|rate|increase|histogram_quantile)\b[ (]|^voxfleet_\w+")
# What a command reads from the lines below it, up to a word of its own.
_HERE_DOCUMENT: Final = re.compile(r"(.*)<<-?'?(\w+)'?(?s:\n.*?\n)\2$", re.MULTILINE)
_MARK: Final = re.compile(r"^\s*<!-- not run(?: by a test)?(?: \(([^)]*)\))?: (.+?) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, with the mark above it."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    not_run_programs: frozenset[str] = frozenset()  # empty: all

    @property
    def place(self) -> str:
        """Where it is, as linters say it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def has_commands(self) -> bool:
        """Whether a reader would type it into a shell."""
        if self.language:
            return self.language in SHELLS
        return any(line.split(maxsplit=1)[:1] and line.split()[0] in _PROGRAMS for line in self.text.splitlines())


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a pipeline, its words as a shell splits them."""

    place: str
    words: tuple[str, ...]
    not_run: str = ""

    @property
    def program(self) -> str:
        """The program's name as written."""
        return self.words[0]

    def __str__(self) -> str:
        """Show where it is and what it is."""
        return f"{self.place}: {shlex.join(self.words)}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks, their indentation taken off."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if start is None and fence:
            start, opening = number, fence
        elif start is not None and fence and fence[2] == opening[2] and not fence[3]:
            inside = "\n".join(each.removeprefix(opening[1]) for each in lines[start + 1 : number])
            mark = _MARK.match(lines[start - 1]) if start else None
            programs = frozenset(re.split(r",\s*", mark[1])) if mark and mark[1] else frozenset()
            yield Block(page, start + 1, opening[3], inside, mark[2] if mark else "", programs)
            start = None


def commands_of(block: Block) -> Iterator[Command]:
    """Yield the commands of a block: of each line, of each pipe, without assignments and redirections."""
    for line in _logical_lines(block.text):
        for part in _parts(line):
            words = _without_shell(part)
            if words:
                is_marked = not block.not_run_programs or words[0] in block.not_run_programs
                yield Command(block.place, tuple(words), block.not_run if is_marked else "")


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines with their continuations: a backslash at the end, or a quote that is still open."""
    pending = ""
    for line in re.sub(_HERE_DOCUMENT, r"\1", text).splitlines():
        if not pending and _QUERY.match(line):
            continue
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
        elif _is_open(pending):
            pending += "\n"
        else:
            yield pending
            pending = ""


def _is_open(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def _parts(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.commenters, lexer.whitespace_split = "#", True
    part: list[str] = []
    for word in lexer:
        if word in {"|", "&&", "||", ";", "&"}:
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _without_shell(words: list[str]) -> list[str]:
    """Leave out redirections with their files, the shell's own words, and assignments before a command."""
    kept: list[str] = []
    skips = False
    for word in words:
        is_redirection = word in {">", ">>", "<"}
        if is_redirection and kept[-1:] == ["2"]:
            kept.pop()
        elif not skips and not is_redirection:
            kept.append(word)
        skips = is_redirection
    if kept and re.match(r"\w+=\$\(", kept[0]):
        return []  # a value that the shell computes for the commands after it
    while kept and (re.match(r"[A-Za-z_]+=", kept[0]) or kept[0] in {"do", "done", "for", "then"}):
        kept = [] if kept[0] in {"for", "done"} else kept[1:]
    return kept
