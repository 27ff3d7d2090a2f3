"""Progress lines: means of the losses since the last line, held-out figures, speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Write = Callable[[str], None]


def write_line(text: str) -> None:
    """Print a line with the time of day, at once."""
    print(time.strftime("%H:%M:%S"), text, flush=True)  # noqa: T201 - progress is for the terminal and the log


def formatted(figures: Mapping[str, float]) -> str:
    """Return figures as `name value name value`."""
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items())


@dataclass(slots=True)
class Means:
    """Sums of the losses and counts of some steps; names that begin with `n_` are counts and become rates."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    started_at: float = field(default_factory=time.monotonic)

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Add the figures of a step; nothing is read back from the device."""
        self.steps += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + value.detach()

    def taken(self) -> dict[str, float]:
        """Return means and rates per second, and begin anew."""
        seconds = time.monotonic() - self.started_at
        means = {
            f"{name[2:]}_per_s" if name.startswith("n_") else name: total.item()
            / (seconds if name.startswith("n_") else self.steps)
            for name, total in self.sums.items()
        }
        means["steps_per_s"] = self.steps / seconds
        self.sums, self.steps, self.started_at = {}, 0, time.monotonic()
        return means
