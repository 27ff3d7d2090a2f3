"""Requests that wait for one region: bounded, first come first served, each leaving exactly once. Pure.

Knows: order of arrival, deadlines, the bound.
Does not know: clocks (the time is an argument), what is waited for, how a waiting request is told.
"""

from bisect import insort
from dataclasses import dataclass, field
from enum import StrEnum


class ReleaseReason(StrEnum):
    """How a request left the queue."""

    RELEASED = "released"  # decide again: something changed
    EXPIRED = "expired"  # its time is up
    DRAINED = "drained"  # this gateway is ending


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A place in the queue. The number is given once per request, so that a request keeps its place when it returns."""

    number: int
    deadline_seconds: float = field(compare=False)


@dataclass(slots=True)
class HoldQueue:
    """Waiting requests of one region of one model, oldest first."""

    max_requests: int
    waiting: list[Ticket] = field(default_factory=list)

    def offer(self, ticket: Ticket) -> bool:
        """Take the request in, at its place by number; False when the queue is full."""
        if len(self.waiting) >= self.max_requests:
            return False
        insort(self.waiting, ticket)
        return True

    def release(self, count: int) -> list[Ticket]:
        """The oldest requests, no more than there is room for."""
        released, self.waiting = self.waiting[: max(0, count)], self.waiting[max(0, count) :]
        return released

    def expire(self, now_seconds: float) -> list[Ticket]:
        """Requests whose time is up."""
        expired = [ticket for ticket in self.waiting if ticket.deadline_seconds <= now_seconds]
        self.waiting = [ticket for ticket in self.waiting if ticket.deadline_seconds > now_seconds]
        return expired

    def withdraw(self, ticket: Ticket) -> bool:
        """Forget a request; False when it had left already."""
        if ticket not in self.waiting:
            return False
        self.waiting.remove(ticket)
        return True

    def __len__(self) -> int:
        return len(self.waiting)
