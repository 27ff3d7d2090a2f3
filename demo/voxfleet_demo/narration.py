"""The demo's voice on the terminal: the testbed's phases and the story's steps, drawn alike, and words between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from voxfleet_testbed.events import Progress, Report, phase
from voxfleet_testbed.narration import narrated


@dataclass(frozen=True, slots=True)
class Narrator:
    """Says words and shows steps."""

    console: Console
    report: Report

    def say(self, words: str) -> None:
        """Prints a paragraph above the running phases."""
        self.console.print(words, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """One step of the story; yields progress(detail, fraction)."""
        with phase(self.report, name) as progress:
            yield progress


@contextmanager
def narrator() -> Iterator[Narrator]:
    """Draws for as long as the block runs."""
    console = Console()
    with narrated(console) as report:
        yield Narrator(console, report)
