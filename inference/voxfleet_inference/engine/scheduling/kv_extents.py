"""Hands out contiguous extents of KV positions, first fit.

Knows: which positions are free.
Does not know: sequences, seats or what is stored there.
"""

from __future__ import annotations

import bisect


class KvExtents:
    """The free extents of one arena, in order and never touching one another."""

    def __init__(self, positions: int) -> None:
        self._free: list[tuple[int, int]] = [(0, positions)] if positions else []  # (first, end)
        self._free_positions = positions

    @property
    def free_positions(self) -> int:
        """How many positions are free in all, in however many pieces."""
        return self._free_positions

    def allocate(self, positions: int) -> int | None:
        """The first position of a free extent of this length; None when no piece is long enough."""
        for at, (first, end) in enumerate(self._free):
            if end - first >= positions:
                rest = (first + positions, end)
                self._free[at : at + 1] = [rest] if rest[0] < end else []
                self._free_positions -= positions
                return first
        return None

    def free(self, first: int, positions: int) -> None:
        """Free an extent, and join it with its free neighbours."""
        end = first + positions
        at = bisect.bisect(self._free, (first, end))
        low, high = at, at
        if at > 0 and self._free[at - 1][1] == first:
            low, first = at - 1, self._free[at - 1][0]
        if at < len(self._free) and self._free[at][0] == end:
            high, end = at + 1, self._free[at][1]
        self._free[low:high] = [(first, end)]
        self._free_positions += positions
