"""Whether memory is flat, from what it was at rest: pure.

What a crowd needs at a moment comes and goes, by tens of megabytes; what leaks is still there when everybody has gone
home. So the crowd comes in waves, and a line is laid through the memory at rest after each wave of the second half. The
first half is for what fills once (allocators, the codec's kernels, the scheduler's memory of the last 1,024 requests).
Knows: numbers. Does not know: processes or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALLOWED_SHARE = 0.02  # beside what is allowed in bytes: allocators grow in steps


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a process' memory at rest did in the second half."""

    levels_bytes: tuple[int, ...]  # after each wave
    growth_bytes: float
    allowed_bytes: float

    @property
    def is_flat(self) -> bool:
        """Whether it grew no more than allocators do."""
        return self.growth_bytes <= self.allowed_bytes

    def __str__(self) -> str:
        """In MiB."""
        levels = " ".join(f"{each / 2**20:.0f}" for each in self.levels_bytes)
        growth, allowed = self.growth_bytes / 2**20, self.allowed_bytes / 2**20
        return f"{levels} MiB after each wave, {growth:+.1f} in the second half ({allowed:.1f} allowed)"


def judge(levels_bytes: Sequence[int], allowed_bytes: float) -> Verdict:
    """The second half of the waves."""
    half = levels_bytes[(len(levels_bytes) - 1) // 2 :]
    growth = slope(half) * (len(half) - 1)
    return Verdict(tuple(levels_bytes), growth, allowed_bytes + ALLOWED_SHARE * half[0])


def slope(values: Sequence[int]) -> float:
    """Of the line with the least squares, per step; no line goes through one point alone."""
    mean_at, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - mean_at) ** 2 for at in range(len(values)))
    return sum((at - mean_at) * (value - mean) for at, value in enumerate(values)) / spread if spread else 0.0
