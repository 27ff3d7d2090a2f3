"""Where requests wait for a region: the hold queues with their clocks and futures.

Knows: how a waiting request is told that something changed, or that its time is up.
Does not know: what changed, and what the request does next (it decides again).
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.hold_queue import HoldQueue, ReleaseReason, Ticket
from voxfleet_gateway.regions import RegionKey

TIMER_SLACK_SECONDS = 0.01  # event loops' timers may ring a little early


@dataclass(slots=True)
class HoldQueues:
    """One queue per region."""

    on_count: Callable[[RegionKey, int], None]
    clock: Callable[[], float] = time.monotonic
    queues: dict[RegionKey, HoldQueue] = field(default_factory=dict)
    waiters: dict[int, asyncio.Future[ReleaseReason]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    draining: bool = False

    def ticket(self, hold_seconds: float) -> Ticket:
        """A place for a request that has just come, valid in any region's queue."""
        return Ticket(next(self.numbers), self.clock() + hold_seconds)

    def held(self, key: RegionKey) -> int:
        """How many wait for the region."""
        return len(self.queues[key]) if key in self.queues else 0

    async def wait(self, key: RegionKey, ticket: Ticket, max_requests: int) -> ReleaseReason:
        """Wait until something changes for this region; a full queue expires the request at once."""
        if self.draining:
            return ReleaseReason.DRAINED
        queue = self.queues.setdefault(key, HoldQueue(max_requests))
        queue.max_requests = max_requests
        if not queue.offer(ticket):
            return ReleaseReason.EXPIRED
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ReleaseReason] = loop.create_future()
        self.waiters[ticket.number] = future
        delay_seconds = ticket.deadline_seconds - self.clock() + TIMER_SLACK_SECONDS
        timer = loop.call_later(max(0.0, delay_seconds), self._expire, key)
        self.on_count(key, len(queue))
        try:
            return await future
        finally:
            timer.cancel()
            queue.withdraw(ticket)
            del self.waiters[ticket.number]
            self._count(key)

    def release(self, key: RegionKey, count: int) -> None:
        """Let the oldest decide again."""
        if key in self.queues:
            self._tell(key, self.queues[key].release(count), ReleaseReason.RELEASED)

    def drain(self) -> None:
        """Let everyone go: this gateway is ending."""
        self.draining = True
        for key, queue in self.queues.items():
            self._tell(key, queue.release(len(queue)), ReleaseReason.DRAINED)

    def _expire(self, key: RegionKey) -> None:
        if key in self.queues:
            self._tell(key, self.queues[key].expire(self.clock()), ReleaseReason.EXPIRED)

    def _tell(self, key: RegionKey, tickets: list[Ticket], left: ReleaseReason) -> None:
        for ticket in tickets:
            future = self.waiters[ticket.number]
            if not future.done():
                future.set_result(left)
        self.on_count(key, self.held(key))

    def _count(self, key: RegionKey) -> None:
        self.on_count(key, self.held(key))
        if not self.queues.get(key):
            self.queues.pop(key, None)
