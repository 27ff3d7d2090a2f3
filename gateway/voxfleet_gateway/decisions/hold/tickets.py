"""A held request's place in line, and the order in which tenants' requests leave. Pure.

Knows: start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996) in audio seconds. Of two tenants that both wait,
neither is given more audio than the other by more than the largest request of each; within a tenant, first come first
served.
Does not know: regions, capacity, deadlines; docs/decisions/0013 says why it is not deficit round robin.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A request's position: given out once per request, so that one that is held again keeps its place."""

    number: int
    deadline_seconds: float = field(compare=False)
    tenant: str = field(default="", compare=False)  # whose share of the queue it takes; empty without a key
    cost_audio_seconds: float = field(default=0.0, compare=False)  # estimated from its text
    body_bytes: int = field(default=0, compare=False)


@dataclass(slots=True)
class FairOrder:
    """Waiting tickets by tenant, and how much audio each tenant was given, on one clock of audio seconds."""

    waiting: dict[str, list[Ticket]] = field(default_factory=dict)  # by tenant, oldest first; no empty lists
    served_until: dict[str, float] = field(default_factory=dict)  # by tenant: where its next request starts
    clock_seconds: float = 0.0  # the start of the request that left last

    def add(self, ticket: Ticket) -> None:
        """Insert the ticket by its number; a tenant that had none waiting has saved nothing up."""
        queue = self.waiting.get(ticket.tenant)
        if queue is None:
            queue = self.waiting[ticket.tenant] = []
            self._catch_up(ticket.tenant)
        insort(queue, ticket)

    def put_back(self, ticket: Ticket) -> None:
        """Insert a ticket that was taken and not sent, and take back what it was counted for."""
        start = self.served_until.get(ticket.tenant, self.clock_seconds) - ticket.cost_audio_seconds
        self.add(ticket)
        self.served_until[ticket.tenant] = start

    def remove(self, ticket: Ticket) -> None:
        """Remove a waiting ticket. Raises KeyError or ValueError when it does not wait."""
        queue = self.waiting[ticket.tenant]
        queue.remove(ticket)
        if not queue:
            del self.waiting[ticket.tenant]

    def take(self, claim: Callable[[Ticket], bool], may_go_on: Callable[[], bool]) -> Iterator[Ticket]:
        """Remove and yield tickets in fair order, while `may_go_on`: of each tenant the oldest that `claim` takes.

        `claim` is called once per ticket; one that it returns True for is taken.
        """
        line = [(self.served_until[tenant], queue[0].number, tenant) for tenant, queue in self.waiting.items()]
        heapify(line)
        while line and may_go_on():
            start, _, tenant = heappop(line)
            ticket = next(filter(claim, self.waiting[tenant]), None)
            if ticket is None:
                self._catch_up(tenant)  # what it may not use now is no credit for later
                continue
            self.remove(ticket)
            self.clock_seconds = max(self.clock_seconds, start)
            self.served_until[tenant] = start + ticket.cost_audio_seconds
            if queue := self.waiting.get(tenant):
                heappush(line, (self.served_until[tenant], queue[0].number, tenant))
            yield ticket
        self._forget()

    def take_all(self) -> list[Ticket]:
        """Remove and return every ticket, oldest first."""
        taken, self.waiting = sorted(self), {}
        self._forget()
        return taken

    def _catch_up(self, tenant: str) -> None:
        self.served_until[tenant] = max(self.served_until.get(tenant, 0.0), self.clock_seconds)

    def _forget(self) -> None:
        """Forget tenants that wait for nothing and have been given nothing beyond the others."""
        for tenant in [name for name, end in self.served_until.items() if end <= self.clock_seconds]:
            if tenant not in self.waiting:
                del self.served_until[tenant]

    def __iter__(self) -> Iterator[Ticket]:
        return (ticket for queue in self.waiting.values() for ticket in queue)

    def __bool__(self) -> bool:
        return bool(self.waiting)
