"""A work queue that holds each key once, with deadlines and back-off, in client-go's words.

Knows that no key is processed twice at a time and that an add during processing is not lost. Does not know what
processing is.
"""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 120.0
MOST_DOUBLINGS = 20  # far beyond the longest back-off; keeps 2.0 ** n finite
SHORTEST_WAIT_SECONDS = 0.001  # asyncio.timeout(0) would not let other tasks run

KeyT = TypeVar("KeyT")


class WorkQueue(Generic[KeyT]):
    """One heap of deadlines feeds one de-duplicating queue."""

    def __init__(self, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._queue: deque[KeyT] = deque()
        self._queued_at: dict[KeyT, float] = {}
        self._processing: set[KeyT] = set()
        self._dirty: set[KeyT] = set()  # added while being processed
        self._heap: list[tuple[float, int, KeyT]] = []
        self._due_at: dict[KeyT, float] = {}
        self._order = 0  # keeps heap entries of equal deadlines from comparing keys
        self._failures: dict[KeyT, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: KeyT) -> None:
        """Queue a key behind all others."""
        if key in self._processing:
            self._dirty.add(key)
        elif key not in self._queued_at:
            self._queued_at[key] = self._clock()
            self._queue.append(key)
            self._changed.set()

    def add_first(self, key: KeyT) -> None:
        """Queue a key before all others: a request may be held until it is processed."""
        if key in self._processing:
            self._dirty.add(key)
            return
        if key in self._queued_at:
            self._queue.remove(key)
        self._queued_at.setdefault(key, self._clock())
        self._queue.appendleft(key)
        self._changed.set()

    def add_at(self, key: KeyT, due_at: float) -> None:
        """Queue a key at a time of the clock; an earlier deadline of the same key stays."""
        if self._due_at.get(key, float("inf")) <= due_at:
            return
        # A later deadline of the key stays in the heap and is skipped when it comes up (_add_due).
        self._due_at[key] = due_at
        self._order += 1
        heapq.heappush(self._heap, (due_at, self._order, key))
        self._changed.set()

    def done(self, key: KeyT) -> None:
        """Mark a key as processed and reset its back-off; one that was added meanwhile is queued again."""
        self._failures.pop(key, None)
        self._processing.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def retry(self, key: KeyT, at_least_seconds: float = 0.0) -> float:
        """Queue a failed key again after its back-off, which doubles with each failure; return it in seconds.

        `at_least_seconds` is what the server asked for; more than the longest back-off is not waited.
        """
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause_seconds = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2.0 ** min(count, MOST_DOUBLINGS))
        # Half to all of it: resources that failed together do not retry together.
        pause_seconds *= 0.5 + self._jitter() / 2
        pause_seconds = max(pause_seconds, min(at_least_seconds, LONGEST_BACK_OFF_SECONDS))
        self._processing.discard(key)
        self._dirty.discard(key)
        self.add_at(key, self._clock() + pause_seconds)
        return pause_seconds

    def requeue_processing(self) -> None:
        """Queue the keys again that cancelled workers were processing."""
        for key in list(self._processing):
            self._processing.discard(key)
            self._dirty.discard(key)
            self.add(key)

    async def get(self) -> KeyT:
        """Return the next key, and wait for one if there is none; its caller must call done() or retry()."""
        while not self._queue:
            self._changed.clear()
            pause_seconds = self._add_due()
            if self._queue:
                break
            try:
                async with asyncio.timeout(pause_seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue
        key = self._queue.popleft()
        del self._queued_at[key]
        self._processing.add(key)
        return key

    def _add_due(self) -> float | None:
        """Queue the keys whose deadline has come; return the seconds until the next deadline."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due_at, _, key = heapq.heappop(self._heap)
            if self._due_at.get(key) == due_at:
                del self._due_at[key]
                self.add(key)
        return max(self._heap[0][0] - now, SHORTEST_WAIT_SECONDS) if self._heap else None

    def oldest_seconds(self) -> float:
        """Return for how long the oldest key has been queued; 0 while there is none."""
        return max(0.0, self._clock() - min(self._queued_at.values())) if self._queued_at else 0.0

    def __len__(self) -> int:
        return len(self._queue)
