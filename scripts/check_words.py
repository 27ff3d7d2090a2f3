"""Checks names, comments, docstrings, messages and docs against the word list in words.toml.

Knows: where each kind of file keeps its prose, and which lines are marked as text for speech.
Does not know: the words. CONTRIBUTING.md has the rule behind the list.

usage: check_words.py [PATH ...]     (default: every tracked file; exits 1 when a listed word is found)
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
SPEECH_MARK: Final = "words: speech"  # a line that carries it holds a text to be spoken, not prose about the code
DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
PROSE_STRINGS: Final = re.compile(r"\s")  # a literal without white space is a key or an identifier, not a message


class Rule(NamedTuple):
    """One entry of words.toml."""

    pattern: re.Pattern[str]
    instead: str


class Finding(NamedTuple):
    """A listed word in a file."""

    path: Path
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Format as other linters do: path, line, message."""
        return f"{self.path}:{self.line}: {self.word!r}: {self.instead}"


Prose = Iterator[tuple[int, str]]  # line number, text


def python_prose(text: str) -> Prose:
    """Yield a module's comments, names, docstrings, and every other literal with white space: messages and help."""
    yield from comments_and_names(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING and PROSE_STRINGS.search(token.string):
            yield from enumerate(token.string.splitlines(), token.start[0])


def prose_of_tests(text: str) -> Prose:
    """Yield what describes a test: comments, names, docstrings; its other literals are what the test is made of."""
    yield from comments_and_names(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and (docstring := ast.get_docstring(node, clean=False)):
            yield from enumerate(docstring.splitlines(), node.body[0].lineno)


def comments_and_names(text: str) -> Prose:
    """Yield the comments, and the words of defined functions and classes."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DEFINITIONS):
            yield node.lineno, words_of(node.name)


def words_of(name: str) -> str:
    """Split an identifier in snake_case or CamelCase into its words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name)


def markdown_prose(text: str) -> Prose:
    """Yield a page's lines without fenced blocks and inline code."""
    is_fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        is_fence = line.lstrip().startswith("```")
        is_fenced ^= is_fence
        if not is_fenced and not is_fence:
            yield number, re.sub(r"`[^`]*`", "", line)


def c_comments(text: str) -> Prose:
    """Yield the comments of a C source."""
    for match in re.finditer(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL):
        yield from enumerate(match[0].splitlines(), text.count("\n", 0, match.start()) + 1)


def all_lines(text: str) -> Prose:
    """Yield every line: shell, YAML, TOML, HTML and make files keep their prose everywhere."""
    yield from enumerate(text.splitlines(), 1)


READERS: Final[dict[str, Callable[[str], Prose]]] = {
    ".py": python_prose,
    ".md": markdown_prose,
    ".c": c_comments,
    ".h": c_comments,
    ".go": c_comments,
    **dict.fromkeys((".sh", ".yaml", ".yml", ".toml", ".html", ".tpl", ""), all_lines),
}


def reader_of(path: Path) -> Callable[[str], Prose] | None:
    """Return how a file's prose is read, or None for data."""
    if path.suffix == ".py" and path.parts[0] == "tests":
        return prose_of_tests
    return READERS.get(path.suffix)


def findings(path: Path, text: str, rules: Iterable[Rule]) -> Iterator[Finding]:
    """Yield each listed word of one file; `path` is relative to the checkout."""
    reader = reader_of(path)
    lines = text.splitlines()
    for number, prose in () if reader is None else reader(text):
        if SPEECH_MARK in lines[number - 1]:
            continue
        for rule in rules:
            for match in rule.pattern.finditer(prose):
                yield Finding(path, number, match[0], rule.instead)


def load_rules(text: str) -> tuple[list[Rule], list[str]]:
    """Read words.toml: the rules, and the paths that it leaves out."""
    listed = tomllib.loads(text)
    rules = [
        Rule(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), instead)
        for instead, words in ((row["instead"], row["words"]) for row in listed["rule"])
    ]
    return rules, listed["leave_out"]


def tracked(arguments: list[str]) -> list[Path]:
    """List the tracked and new files under the arguments, relative to the checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *arguments]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def main(arguments: list[str]) -> int:
    """Print the findings; return the exit status."""
    rules, leave_out = load_rules((ROOT / "scripts/words.toml").read_text(encoding="utf-8"))
    paths = [path for path in tracked(arguments) if not any(path.match(pattern) for pattern in leave_out)]
    found = sorted(
        {each for path in paths if reader_of(path) for each in findings(path, (ROOT / path).read_text("utf-8"), rules)}
    )
    for each in found:
        print(each)
    print(f"words: {len(found)} findings in {len(paths)} files", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
