"""The held-out sentences, read from sentences.tsv.

Knows: the file's columns. Does not know: servers or recognisers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SENTENCES = Path(__file__).parents[1] / "sentences.tsv"
COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, as a user types it and as it is spoken."""

    text: str
    spoken: str  # numbers in words
    teacher_seconds: float  # length of the teacher's speech


def load_sentences(path: Path = SENTENCES) -> tuple[Sentence, ...]:
    """Return all sentences of a file, in its order.

    Raises:
        ValueError: a line has not three columns, or its third is no number.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if wrong := next((row for row in rows if len(row) != COLUMNS), None):
        raise ValueError(f"{path}: {len(wrong)} columns in {wrong!r}; {COLUMNS} are required, separated by tabs")
    return tuple(Sentence(text, spoken, float(seconds)) for text, spoken, seconds in rows)


def spread(sentences: tuple[Sentence, ...], count: int) -> tuple[Sentence, ...]:
    """Return `count` sentences from all over the list, so that few still have every kind; all if there are no more."""
    chosen = min(count, len(sentences))
    return tuple(sentences[index * len(sentences) // chosen] for index in range(chosen))
