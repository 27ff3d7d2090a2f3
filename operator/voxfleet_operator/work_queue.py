"""Whose turn it is: a queue that holds each key once, with deadlines and back-off.

Knows that a key is never worked on twice at a time and that a call during the work is not lost. Does not know what
the work is.
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

KeyT = TypeVar("KeyT")


class WorkQueue(Generic[KeyT]):
    """One heap of deadlines feeds one de-duplicating queue."""

    def __init__(self, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._waiting: deque[KeyT] = deque()
        self._is_waiting: set[KeyT] = set()
        self._in_work: set[KeyT] = set()
        self._called_meanwhile: set[KeyT] = set()
        self._heap: list[tuple[float, int, KeyT]] = []
        self._due_at: dict[KeyT, float] = {}
        self._order = 0
        self._failures: dict[KeyT, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: KeyT) -> None:
        """As soon as possible."""
        if key in self._in_work:
            self._called_meanwhile.add(key)
        elif key not in self._is_waiting:
            self._is_waiting.add(key)
            self._waiting.append(key)
            self._changed.set()

    def add_first(self, key: KeyT) -> None:
        """Before everybody who waits: somebody is waiting for a region to wake."""
        if key in self._in_work:
            self._called_meanwhile.add(key)
            return
        if key in self._is_waiting:
            self._waiting.remove(key)
        self._is_waiting.add(key)
        self._waiting.appendleft(key)
        self._changed.set()

    def add_at(self, key: KeyT, due_at: float) -> None:
        """At a time; an earlier deadline of the same key stands."""
        if self._due_at.get(key, float("inf")) <= due_at:
            return
        self._due_at[key] = due_at
        self._order += 1
        heapq.heappush(self._heap, (due_at, self._order, key))
        self._changed.set()

    def succeeded(self, key: KeyT) -> None:
        """The work is done; a call during it comes next."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: KeyT) -> float:
        """The work is tried again, later each time; returns the pause in seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause_seconds = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2.0 ** min(count, 20))
        pause_seconds *= 0.5 + self._jitter() / 2
        self._in_work.discard(key)
        self._called_meanwhile.discard(key)
        self.add_at(key, self._clock() + pause_seconds)
        return pause_seconds

    async def next(self) -> KeyT:
        """The next key; it is in work until succeeded() or failed()."""
        while not self._waiting:
            self._changed.clear()
            pause_seconds = self._move_due()
            if self._waiting:
                break
            try:
                async with asyncio.timeout(pause_seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue
        key = self._waiting.popleft()
        self._is_waiting.discard(key)
        self._in_work.add(key)
        return key

    def _release(self, key: KeyT) -> None:
        self._in_work.discard(key)
        if key in self._called_meanwhile:
            self._called_meanwhile.discard(key)
            self.add(key)

    def _move_due(self) -> float | None:
        """Put what is due into the queue; returns the seconds until the next deadline."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due_at, _, key = heapq.heappop(self._heap)
            if self._due_at.get(key) == due_at:
                del self._due_at[key]
                self.add(key)
        return max(self._heap[0][0] - now, 0.001) if self._heap else None

    def __len__(self) -> int:
        return len(self._waiting)
