"""The requests that one gateway holds: the product's queues and places, without the futures around them.

Knows where each request is held. Does not know why, nor what it does next.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from voxfleet_gateway.decisions.hold.hold_places import HoldPlaces
from voxfleet_gateway.decisions.hold.hold_queue import HoldQueue, free_by_region
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import ObjectKey

from voxfleet_simulation.world.requests import Request


@dataclass(slots=True)
class Holding:
    """One HoldQueue per region that requests are held for."""

    model: ObjectKey
    most_held: int
    names: tuple[str, ...]  # of the regions
    places: HoldPlaces = field(default_factory=HoldPlaces)
    queues: dict[int, HoldQueue] = field(default_factory=dict)  # by index of the region
    requests: dict[int, Request] = field(default_factory=dict)  # by number
    tickets: dict[int, Ticket] = field(default_factory=dict)
    free: int | None = None  # further requests that may be held, until a place is taken or given back

    def counts(self, index: int) -> tuple[int, int]:
        """Return how many requests are held for a region, and how many more the model may have held."""
        held = len(self.queues[index]) if index in self.queues else 0
        if self.free is None:
            self.free = self.places.free(self.model, self.most_held)
        return held, self.free

    def is_in_turn(self, request: Request, index: int) -> bool:
        """Whether the request may be sent before those that wait for the region."""
        queue = self.queues.get(index)
        return queue is None or queue.is_in_turn(Ticket(request.number, inf))

    def hold(self, request: Request, index: int, regions: frozenset[str], now: float) -> bool:
        """Hold a request, or return False when there is no place for it."""
        ticket = self.tickets.get(request.number) or Ticket(request.number, inf)
        was_held = request.held_in >= 0
        if was_held and request.held_in != index:
            self.leave(request)
        if request.held_in < 0:
            if not self.places.take(self.model, ticket, self.most_held, is_admitted=was_held or request.attempts > 0):
                return False
            self.free = None
            request.held_in = index
            self.tickets[request.number], self.requests[request.number] = ticket, request
        self.queues.setdefault(index, HoldQueue(self.names[index])).offer(ticket, regions, now)
        return True

    def leave(self, request: Request) -> None:
        """Give a request's place up."""
        ticket, queue = self.tickets.pop(request.number), self.queues[request.held_in]
        del self.requests[request.number]
        queue.leave(ticket)
        self.places.give_back(self.model, ticket)
        self.free = None
        if not queue:
            del self.queues[request.held_in]
        request.held_in = -1

    def release(self, index: int, views: Sequence[RegionView], now: float) -> list[Request]:
        """Return requests that decide again: as many as regions have capacity for, or all when nothing is left."""
        queue = self.queues.get(index)
        if queue is None:
            return []
        free = free_by_region(views[index], views)
        if free is None:
            return [self.requests[ticket.number] for ticket in queue.release_all()]
        deciding = Counter(name for each in self.queues.values() for name in each.deciding.values())
        left = {name: count - deciding[name] for name, count in free.items()}
        return [self.requests[ticket.number] for ticket in queue.release(left, now)]

    def all(self) -> list[Request]:
        """Return every request that is held."""
        return [*self.requests.values()]
