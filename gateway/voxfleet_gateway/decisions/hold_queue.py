"""Requests that wait for one region: bounded, first come first served, each released exactly once. Pure.

Knows: order of arrival, deadlines, the bound, how many may be released, when a new request may pass.
Does not know: clocks (the time is an argument), how a waiting request is notified.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_gateway.decisions.snapshot import RegionView


class ReleaseReason(StrEnum):
    """Why a request left the queue."""

    RELEASED = "released"  # something changed: decide again
    EXPIRED = "expired"  # its deadline has passed
    DRAINED = "drained"  # this gateway is shutting down


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A request's position: given out once per request, so that one that is held again keeps its place."""

    number: int
    deadline_seconds: float = field(compare=False)


@dataclass(slots=True)
class HoldQueue:
    """Waiting requests of one region of one model, in order of their tickets."""

    max_requests: int
    waiting: list[Ticket] = field(default_factory=list)

    def offer(self, ticket: Ticket) -> bool:
        """Insert the ticket by its number; return False, and change nothing, when the queue is full."""
        if len(self.waiting) >= self.max_requests:
            return False
        insort(self.waiting, ticket)
        return True

    def release(self, count: int) -> list[Ticket]:
        """Remove and return the oldest tickets, at most `count`."""
        released, self.waiting = self.waiting[: max(0, count)], self.waiting[max(0, count) :]
        return released

    def expire(self, now_seconds: float) -> list[Ticket]:
        """Remove and return the tickets whose deadline has passed."""
        expired = [ticket for ticket in self.waiting if ticket.deadline_seconds <= now_seconds]
        self.waiting = [ticket for ticket in self.waiting if ticket.deadline_seconds > now_seconds]
        return expired

    def withdraw(self, ticket: Ticket) -> bool:
        """Remove one ticket; return False when it is not in the queue."""
        if ticket not in self.waiting:
            return False
        self.waiting.remove(ticket)
        return True

    def __len__(self) -> int:
        return len(self.waiting)


def may_pass(held_seconds: float, waiting: int) -> bool:
    """Return whether a request may be sent now: a new one must not pass those that wait already."""
    return held_seconds > 0 or waiting == 0


def releasable(waiting: int, home: RegionView, views: Sequence[RegionView]) -> int:
    """Return how many of the waiting requests may decide again.

    All, when their region will not come: they are refused with the reason. Else as many as `views`, the regions that
    they may use, have capacity for.
    """
    if home.is_suspended or (home.failure and not home.is_awake):
        return waiting
    return sum(view.free_requests for view in views if view.is_available)
