"""Errors of word timestamps, method by method.

python benchmarks/word_timestamps            # against the teacher's speech, whose word bounds are known exactly
python benchmarks/word_timestamps --whisper  # the demo voice's too, against the words that Whisper finds in it
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from demo_voice import spoken_by_demo_voice
from errors import Errors, errors_of
from methods import METHODS
from rich.console import Console
from rich.table import Table
from teacher_speech import Reference, drawn_texts, spoken_by_teacher

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "inference" / "models" / "demo"
SENTENCES = ROOT / "benchmarks" / "speech_errors" / "sentences.tsv"
SEED = 2  # the constants were chosen on the texts of seed 1


def main() -> None:
    """Measure and print a table for each source of speech."""
    parser = argparse.ArgumentParser(description="Measure the errors of word timestamps.")
    parser.add_argument("--texts", type=int, default=120, help="drawn texts for the teacher (default: %(default)s)")
    parser.add_argument("--whisper", action="store_true", help="measure the demo voice too, sentence by sentence")
    parser.add_argument("--sentences", type=int, default=14, help="of the demo voice (default: %(default)s)")
    arguments = parser.parse_args()
    held_out = [line.split("\t")[1] for line in SENTENCES.read_text().splitlines() if line and line[0] != "#"]
    plain = [text for text in held_out if "-" not in text]
    show("the teacher, drawn texts", list(spoken_by_teacher(drawn_texts(arguments.texts, SEED))))
    show("the teacher, held-out sentences", list(spoken_by_teacher(plain)))
    if arguments.whisper:
        show(
            "the demo voice, held-out sentences, by Whisper",
            list(spoken_by_demo_voice(spread(plain, arguments.sentences), CHECKPOINT)),
        )


def spread(texts: list[str], count: int) -> list[str]:
    """Return `count` texts from all over the list."""
    chosen = min(count, len(texts))
    return [texts[index * len(texts) // chosen] for index in range(chosen)]


def show(source: str, references: Sequence[Reference]) -> None:
    """Print the errors of each method on one source of speech."""
    table = Table(
        "method", "start: mean", "median", "95 %", "end: mean", "median", "95 %", "ms per sentence", title=source
    )
    for name, method in METHODS.items():
        began = time.perf_counter()
        errors = errors_of(method, references)
        spent = (time.perf_counter() - began) / max(1, len(references)) * 1000
        table.add_row(name, *_cells(errors), f"{spent:.1f}")
    words = sum(len(each.words) for each in references)
    table.caption = f"absolute errors in ms; {len(references)} sentences, {words} words"
    Console(width=120).print(table)


def _cells(errors: Errors) -> list[str]:
    return [f"{value:.0f}" for value in (*errors.start_ms, *errors.end_ms)]


if __name__ == "__main__":
    main()
