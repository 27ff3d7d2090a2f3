"""The learning rate of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class LearningRate(Protocol):
    """A schedule over a known number of steps."""

    @property
    def peak(self) -> float:
        """The highest rate."""

    @property
    def steps(self) -> int:
        """The number of steps."""

    def at(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""


@dataclass(frozen=True, slots=True)
class CosineRate:
    """A linear warm-up, then a cosine down to a small remainder."""

    peak: float
    steps: int
    warm_up_steps: int = 40
    final_share: float = 0.02

    def at(self, step: int) -> float:
        """Return the rate of a step."""
        warm_up = min(1.0, (step + 1) / self.warm_up_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.peak * warm_up * (cosine * (1 - self.final_share) + self.final_share)


@dataclass(frozen=True, slots=True)
class PlateauRate:
    """A warm-up, a plateau, a decay by the square root; until the decay begins, the number of steps may be changed."""

    peak: float
    steps: int
    decay_from: int
    warm_up_steps: int = 200
    final_share: float = 0.01

    def at(self, step: int) -> float:
        """Return the rate of a step."""
        warm_up = min(1.0, (step + 1) / self.warm_up_steps)
        done = max(0, step - self.decay_from) / max(1, self.steps - self.decay_from)
        return self.peak * warm_up * max(self.final_share, 1 - math.sqrt(done))
