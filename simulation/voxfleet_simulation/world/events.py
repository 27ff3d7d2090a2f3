"""The event loop: callbacks in the order of their times, arrivals merged in. Knows nothing of what happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

Callback = Callable[..., None]


@dataclass(slots=True)
class EventLoop:
    """`now`: the time of the callback that runs; equal times run in the order in which they were scheduled."""

    now: float
    heap: list[tuple[float, int, Callback, tuple[Any, ...]]] = field(default_factory=list)
    scheduled: int = 0
    processed: int = 0

    def at(self, when: float, callback: Callback, *arguments: Any) -> None:
        """Call back at a time; one that has passed counts as now."""
        self.scheduled += 1
        heappush(self.heap, (max(when, self.now), self.scheduled, callback, arguments))

    def after(self, seconds: float, callback: Callback, *arguments: Any) -> None:
        """Call back later."""
        self.at(self.now + seconds, callback, *arguments)

    def run(self, arrivals: Sequence[float], on_arrival: Callable[[int], None], is_over: Callable[[], bool]) -> None:
        """Process arrivals and events in the order of their times until both have run out, or `is_over`.

        `is_over` is asked only after the last arrival.
        """
        heap = self.heap
        for index, at in enumerate(arrivals):
            while heap and heap[0][0] <= at:
                self._step()
            self.now = at
            self.processed += 1
            on_arrival(index)
        while heap and not is_over():
            self._step()

    def _step(self) -> None:
        self.now, _, callback, arguments = heappop(self.heap)
        self.processed += 1
        callback(*arguments)
