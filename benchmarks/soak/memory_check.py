"""Whether a process leaks, from its memory at rest after each wave of load: pure.

Under load memory rises and falls by tens of megabytes; a leak remains when no request is open. So the load comes in
waves, and a line is fitted through the memory at rest after each wave of the second half. The first half is for what
fills once (allocators, the codec's kernels, the scheduler's record of the last 1,024 requests).
Knows: numbers. Does not know: processes or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALLOWED_SHARE = 0.02  # in addition to the allowed bytes: allocators grow in steps


@dataclass(frozen=True, slots=True)
class MemoryCheck:
    """The growth of one process's memory at rest over the second half of the waves."""

    levels_bytes: tuple[int, ...]  # after each wave
    growth_bytes: float
    allowed_bytes: float

    @property
    def is_flat(self) -> bool:
        """Whether the growth is within the allowed bytes."""
        return self.growth_bytes <= self.allowed_bytes

    def __str__(self) -> str:
        """Return levels and growth in MiB."""
        levels = " ".join(f"{each / 2**20:.0f}" for each in self.levels_bytes)
        growth, allowed = self.growth_bytes / 2**20, self.allowed_bytes / 2**20
        return f"{levels} MiB after each wave, {growth:+.1f} in the second half ({allowed:.1f} allowed)"


def check_memory(levels_bytes: Sequence[int], allowed_bytes: float) -> MemoryCheck:
    """Fit a line through the levels of the second half; the middle wave belongs to it."""
    half = levels_bytes[(len(levels_bytes) - 1) // 2 :]
    growth = slope(half) * (len(half) - 1)
    return MemoryCheck(tuple(levels_bytes), growth, allowed_bytes + ALLOWED_SHARE * half[0])


def slope(values: Sequence[int]) -> float:
    """Return the slope per step of the least-squares line; 0 for a single value."""
    mean_at, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - mean_at) ** 2 for at in range(len(values)))
    return sum((at - mean_at) * (value - mean) for at, value in enumerate(values)) / spread if spread else 0.0
