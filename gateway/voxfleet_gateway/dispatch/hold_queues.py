"""The hold queues of all regions, with their timers and futures: the only place where held requests are counted.

Knows: how a held request is notified that something changed, or that its deadline has passed.
Does not know: what changed, and what the request does next (it decides again).
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.hold_queue import HoldQueue, ReleaseReason, Ticket
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import HELD_REQUESTS

# A timer may fire up to the clock's resolution early; a ticket would then not be due yet and be held for ever.
TIMER_MARGIN_SECONDS = 0.01


@dataclass(slots=True)
class HoldQueues:
    """One HoldQueue per region that requests are held for; `on_change` is called when a count changes."""

    on_change: Callable[[RegionKey], None]
    clock: Callable[[], float] = time.monotonic
    queues: dict[RegionKey, HoldQueue] = field(default_factory=dict)
    waiters: dict[int, asyncio.Future[ReleaseReason]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    is_draining: bool = False

    def new_ticket(self, hold_seconds: float) -> Ticket:
        """Return the ticket of a request that has just arrived; it is valid in the queue of any region."""
        return Ticket(next(self.numbers), self.clock() + hold_seconds)

    def held(self, key: RegionKey) -> int:
        """Return how many requests are held for the region."""
        return len(self.queues[key]) if key in self.queues else 0

    async def wait(self, key: RegionKey, ticket: Ticket, max_requests: int) -> ReleaseReason:
        """Hold a request until it is released or expires; in a full queue it expires at once."""
        if self.is_draining:
            return ReleaseReason.DRAINED
        queue = self.queues.setdefault(key, HoldQueue(max_requests))
        queue.max_requests = max_requests  # the resource may have changed since the queue was made
        if not queue.offer(ticket):
            return ReleaseReason.EXPIRED
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ReleaseReason] = loop.create_future()
        self.waiters[ticket.number] = future
        delay_seconds = ticket.deadline_seconds - self.clock() + TIMER_MARGIN_SECONDS
        timer = loop.call_later(max(0.0, delay_seconds), self._expire, key)
        self._report(key)
        try:
            return await future
        finally:  # also when the client has disconnected and this task is cancelled
            timer.cancel()
            queue.withdraw(ticket)
            del self.waiters[ticket.number]
            self._report(key)
            if not self.queues.get(key):
                self.queues.pop(key, None)

    def release(self, key: RegionKey, count: int) -> None:
        """Release the oldest `count` requests of the region, so that they decide again."""
        if key in self.queues:
            self._resolve(key, self.queues[key].release(count), ReleaseReason.RELEASED)

    def drain(self) -> None:
        """Release every request, and hold no further one: this gateway is shutting down."""
        self.is_draining = True
        for key, queue in self.queues.items():
            self._resolve(key, queue.release(len(queue)), ReleaseReason.DRAINED)

    def _expire(self, key: RegionKey) -> None:
        if key in self.queues:
            self._resolve(key, self.queues[key].expire(self.clock()), ReleaseReason.EXPIRED)

    def _resolve(self, key: RegionKey, tickets: list[Ticket], reason: ReleaseReason) -> None:
        for ticket in tickets:
            future = self.waiters[ticket.number]
            if not future.done():
                future.set_result(reason)
        self._report(key)

    def _report(self, key: RegionKey) -> None:
        HELD_REQUESTS.labels(*key.labels).set(self.held(key))
        self.on_change(key)
