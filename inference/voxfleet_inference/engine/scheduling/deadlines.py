"""The moments at which sequences expire.

Knows: when each has to be done, earliest first.
Does not know: clocks, or whether a sequence still lives.
"""

from __future__ import annotations

import heapq


class Deadlines:
    """A heap of moments; those of sequences that have ended meanwhile are passed over by whoever asks."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, float]] = []  # (moment, sequence id, seconds it was given)

    def add(self, sequence_id: int, now: float, seconds: float) -> None:
        """The sequence has so many seconds from now."""
        heapq.heappush(self._heap, (now + seconds, sequence_id, seconds))

    def due(self, now: float) -> list[tuple[int, float]]:
        """Take out whose time is over, with the seconds they had."""
        over: list[tuple[int, float]] = []
        while self._heap and self._heap[0][0] <= now:
            _, sequence_id, seconds = heapq.heappop(self._heap)
            over.append((sequence_id, seconds))
        return over

    @property
    def next_moment(self) -> float | None:
        """When the next one may be due."""
        return self._heap[0][0] if self._heap else None
