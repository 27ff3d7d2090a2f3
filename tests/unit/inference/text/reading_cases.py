"""The texts of readings.tsv with their right readings. Run as a program, it prints how many are read right.

A line has four columns: kind, language, text, and its readings, of which any is right (` | ` between). Words are
compared: case, punctuation, hyphens, spaces beside Chinese, and British "and" after hundreds do not count. `⟨1⟩` is a
pause of a second.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from voxfleet_inference.text.reading import readings

_PUNCTUATION = re.compile(r"[^\w\s'⟨⟩.]|(?<!\d)\.|\.(?!\d)|(?<!\w)'|'(?!\w)")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of readings.tsv."""

    kind: str
    language: str
    text: str
    right: tuple[str, ...]


def cases() -> tuple[Case, ...]:
    lines = (Path(__file__).parent / "readings.tsv").read_text(encoding="utf-8").splitlines()
    columns = [line.split("\t") for line in lines]
    return tuple(Case(kind, language, text, tuple(right.split(" | "))) for kind, language, text, right in columns)


def is_right(case: Case, *, has_rules: bool = True) -> bool:
    return words_of(spoken(case.text, has_rules=has_rules)) in {words_of(each) for each in case.right}


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
    texts, before, after = Counter[str](), Counter[str](), Counter[str]()
    for case in cases():
        for row in (f"{case.kind} {case.language}", "all"):
            texts[row] += 1
            before[row] += is_right(case, has_rules=False)
            after[row] += is_right(case)
    sys.stdout.write(f"{'kind':18}{'texts':>6}{'right without rules':>21}{'with rules':>12}\n")
    for row in sorted(texts, key=lambda row: (row == "all", row)):
        sys.stdout.write(f"{row:18}{texts[row]:>6}{before[row]:>21}{after[row]:>12}\n")


if __name__ == "__main__":
    main()
