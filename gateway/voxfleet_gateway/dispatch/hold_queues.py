"""The hold queues of all regions, with their timers and futures: the only place where held requests are counted.

Knows: how a held request is notified that something changed, or that its deadline has passed.
Does not know: what changed, and what the request does next (it decides again).
"""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from voxfleet_gateway.decisions.hold.hold_places import HoldPlaces
from voxfleet_gateway.decisions.hold.hold_queue import HoldQueue, ReleaseReason
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.regions import ModelEntry, ObjectKey, RegionKey
from voxfleet_gateway.telemetry import FREE_HOLD_PLACES, HELD_REQUESTS

# A timer may fire up to the clock's resolution early; a ticket would then not be due yet and be held for ever.
TIMER_MARGIN_SECONDS = 0.01
# Released requests that begin in one turn of the event loop. All in one turn would stop the loop for seconds, and
# the connections of the first ones would time out.
NOTIFIED_AT_ONCE = 32


@dataclass(slots=True)
class HoldQueues:
    """One HoldQueue per region that requests are held for; `on_change` is called when a count changes."""

    on_change: Callable[[RegionKey], None]
    places: HoldPlaces = field(default_factory=HoldPlaces)
    replicas: Callable[[], int] = lambda: 1  # ready gateways of this region, which share a model's bound
    clock: Callable[[], float] = time.monotonic
    queues: dict[RegionKey, HoldQueue] = field(default_factory=dict)
    by_model: dict[ObjectKey, set[RegionKey]] = field(default_factory=dict)  # the keys of `queues`
    held_for: dict[int, RegionKey] = field(default_factory=dict)  # by ticket number
    waiters: dict[int, asyncio.Future[ReleaseReason]] = field(default_factory=dict)
    due: deque[tuple[asyncio.Future[ReleaseReason], ReleaseReason]] = field(default_factory=deque)  # not notified yet
    numbers: Iterator[int] = field(default_factory=itertools.count)
    is_draining: bool = False

    def new_ticket(
        self, hold_seconds: float, tenant: str = "", cost_audio_seconds: float = 0.0, body_bytes: int = 0
    ) -> Ticket:
        """Return the ticket of a request that has just arrived; it is valid in the queue of any region."""
        return Ticket(next(self.numbers), self.clock() + hold_seconds, tenant, cost_audio_seconds, body_bytes)

    def held(self, key: RegionKey) -> int:
        """Return how many requests are held for the region, those that decide again included."""
        return len(self.queues[key]) if key in self.queues else 0

    def free_places(self, model: ModelEntry) -> int:
        """Return how many further requests of the model this gateway may hold, whatever their region."""
        return self.places.free(model.ref, self._bound(model))

    def _bound(self, model: ModelEntry) -> int:
        """Return this gateway's part of the model's bound; where it has one at all, at least one request."""
        return ceil(model.gateway.max_held_requests / max(1, self.replicas()))

    def refresh_gauges(self, models: Iterable[ModelEntry]) -> None:
        """Set the gauge of free places, which depend on what is held for other models."""
        FREE_HOLD_PLACES.clear()
        for model in models:
            FREE_HOLD_PLACES.labels(*model.ref).set(self.free_places(model))

    def is_in_turn(self, key: RegionKey, ticket: Ticket) -> bool:
        """Whether the request may be sent to the region before those that wait for it."""
        return key not in self.queues or self.queues[key].is_in_turn(ticket)

    def of_model(self, model: ObjectKey) -> list[RegionKey]:
        """Return the regions of the model that requests are held for."""
        return [*self.by_model.get(model, ())]

    def deciding(self, model: ObjectKey) -> Counter[str]:
        """Return how many requests of the model were released and not sent yet, by the region that can take them."""
        keys = self.by_model.get(model, ())
        return Counter(region for key in keys for region in self.queues[key].deciding.values())

    async def wait(
        self, key: RegionKey, ticket: Ticket, model: ModelEntry, regions: frozenset[str], *, is_admitted: bool = False
    ) -> ReleaseReason:
        """Hold a request until it is released or expires; `regions` are the names of those that it may be sent to."""
        if self.is_draining:
            return ReleaseReason.DRAINED
        if self.held_for.get(ticket.number, key) != key:
            is_admitted = self.leave(ticket)  # a place is a place in whichever queue
        if ticket.number not in self.held_for:
            if not self.places.take(model.ref, ticket, self._bound(model), is_admitted=is_admitted):
                return ReleaseReason.FULL
            self._open(key)
            self.held_for[ticket.number] = key
        self.queues[key].offer(ticket, regions, self.clock())
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ReleaseReason] = loop.create_future()
        self.waiters[ticket.number] = future
        delay_seconds = ticket.deadline_seconds - self.clock() + TIMER_MARGIN_SECONDS
        timer = loop.call_later(max(0.0, delay_seconds), self._expire, key)
        self._report(key)
        try:
            return await future
        finally:
            timer.cancel()
            del self.waiters[ticket.number]

    def _open(self, key: RegionKey) -> None:
        self.queues.setdefault(key, HoldQueue(key.region))
        self.by_model.setdefault((key.namespace, key.name), set()).add(key)

    def leave(self, ticket: Ticket) -> bool:
        """Give the request's place up, if it has one: it was sent or refused, or its client is gone."""
        key = self.held_for.pop(ticket.number, None)
        if key is None:
            return False
        queue, model = self.queues[key], (key.namespace, key.name)
        queue.leave(ticket)
        self.places.give_back(model, ticket)
        if not queue:
            del self.queues[key]
            self.by_model[model].discard(key)
            if not self.by_model[model]:
                del self.by_model[model]
        self._report(key)
        return True

    def release(self, key: RegionKey, free: Mapping[str, int] | None) -> None:
        """Let requests decide again: as many as regions have capacity for, or all for None."""
        if (queue := self.queues.get(key)) is not None:
            released = queue.release_all() if free is None else queue.release(free, self.clock())
            self._resolve(released, ReleaseReason.RELEASED)

    def drain(self) -> None:
        """Release every request, and hold no further one: this gateway is shutting down."""
        self.is_draining = True
        for queue in self.queues.values():
            self._resolve(queue.release_all(), ReleaseReason.DRAINED)

    def _expire(self, key: RegionKey) -> None:
        if key not in self.queues:
            return
        expired = self.queues[key].expired(self.clock())
        self._resolve(expired, ReleaseReason.EXPIRED)
        for ticket in expired:
            self.leave(ticket)

    def _resolve(self, tickets: Iterable[Ticket], reason: ReleaseReason) -> None:
        is_idle = not self.due
        self.due.extend((self.waiters[ticket.number], reason) for ticket in tickets)
        if is_idle:
            self._notify()

    def _notify(self) -> None:
        """Notify the next requests that are due, and the others in later turns; the loop does its work in between."""
        for _ in range(min(NOTIFIED_AT_ONCE, len(self.due))):
            future, reason = self.due.popleft()
            if not future.done():
                future.set_result(reason)
        if self.due:
            asyncio.get_running_loop().call_soon(self._notify)

    def _report(self, key: RegionKey) -> None:
        HELD_REQUESTS.labels(*key.labels).set(self.held(key))
        self.on_change(key)
