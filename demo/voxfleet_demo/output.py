"""What the demo prints: the testbed's phases and the scenario's steps drawn alike, and text between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from voxfleet_testbed.events import Progress, Report, phase
from voxfleet_testbed.phase_display import show_phases


@dataclass(frozen=True, slots=True)
class DemoOutput:
    """Prints text and shows steps on one console."""

    console: Console
    report: Report

    def print(self, text: str) -> None:
        """Print a paragraph above the lines of the running phases."""
        # soft_wrap: a wrapped URL or kubectl table could not be copied.
        self.console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """Show one step of the scenario; yields progress(detail, fraction)."""
        with phase(self.report, name) as progress:
            yield progress


@contextmanager
def demo_output() -> Iterator[DemoOutput]:
    """Draw on the terminal for as long as the block runs."""
    console = Console()
    with show_phases(console) as report:
        yield DemoOutput(console, report)
