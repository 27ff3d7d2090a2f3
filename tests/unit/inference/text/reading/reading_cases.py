"""Texts with their right readings, in six files. Run as a program, it prints how many of each are read right.

readings.tsv was written with the rules, unseen_first.tsv after them, unseen_second.tsv after what the first led to,
unseen_third.tsv after that, then unseen_fourth.tsv and unseen_fifth.tsv; each was measured before a rule was changed
for its sake.
A line has four columns: kind, language, text (`⏎` is a line's end), and its readings, of which any is right
(` | ` between; `{a/b}` is a or b).
Words are compared: case, punctuation, hyphens, spaces beside Chinese, and British "and" after hundreds do not count.
`⟨1⟩` is a pause of a second.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from voxfleet_inference.text.reading import readings

FILES = ("readings", "unseen_first", "unseen_second", "unseen_third", "unseen_fourth", "unseen_fifth")
_PUNCTUATION = re.compile(r"[^\w\s'⟨⟩.]|(?<!\d)\.|\.(?!\d)|(?<!\w)'|'(?!\w)")
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a file."""

    kind: str
    language: str
    text: str
    right: tuple[str, ...]


def cases(file: str = "readings") -> tuple[Case, ...]:
    lines = (Path(__file__).parent / f"{file}.tsv").read_text(encoding="utf-8").splitlines()
    columns = [line.split("\t") for line in lines]
    return tuple(
        Case(kind, language, text.replace("⏎", "\n"), tuple(right.split(" | ")))
        for kind, language, text, right in columns
    )


def is_right(case: Case, *, has_rules: bool = True) -> bool:
    words = words_of(spoken(case.text, has_rules=has_rules))
    return any(words == words_of(each) for right in case.right for each in choices(right))


def choices(right: str) -> list[str]:
    """Return the readings that a reading with `{a/b}` stands for."""
    found = _CHOICE.search(right)
    if not found:
        return [right]
    before, after = right[: found.start()], right[found.end() :]
    return [each for choice in found[1].split("/") for each in choices(f"{before}{choice}{after}")]


def spoken(text: str, *, has_rules: bool = True) -> str:
    parts = []
    for reading in readings(text, has_rules=has_rules):
        parts += [f"⟨{reading.pause_seconds:g}⟩"] if reading.pause_seconds else []
        parts.append(reading.spoken)
    return " ".join(parts)


def words_of(text: str) -> str:
    text = _PUNCTUATION.sub(" ", text.lower().replace("-", " ").replace("’", "'"))
    text = re.sub(r"\b(hundred|thousand|million) and\b", r"\1", text)
    return " ".join(re.sub(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])", "", text).split())


def main() -> None:
    for file in sys.argv[1:] or FILES:
        _print_counts(file)


def _print_counts(file: str) -> None:
    texts, before, after = Counter[str](), Counter[str](), Counter[str]()
    for case in cases(file):
        for row in (f"{case.kind} {case.language}", "all"):
            texts[row] += 1
            before[row] += is_right(case, has_rules=False)
            after[row] += is_right(case)
    sys.stdout.write(f"{file:18}{'texts':>6}{'right without rules':>21}{'with rules':>12}\n")
    for row in sorted(texts, key=lambda row: (row == "all", row)):
        sys.stdout.write(f"{row:18}{texts[row]:>6}{before[row]:>21}{after[row]:>12}\n")


if __name__ == "__main__":
    main()
