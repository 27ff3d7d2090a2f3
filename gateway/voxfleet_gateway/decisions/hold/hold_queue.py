"""Requests that wait for one region: bounded, first come first served, each in its place until sent or gone. Pure.

Knows: order of arrival, deadlines, the bound, which requests may decide again, when a new request may pass.
Does not know: clocks (the time is an argument), how a waiting request is notified.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_gateway.decisions.snapshot import RegionView

SPILL_PAUSE_SECONDS = 0.25  # before a request that was held again may decide about the same other region again


class ReleaseReason(StrEnum):
    """Why a request stopped waiting."""

    RELEASED = "released"  # something changed: decide again
    EXPIRED = "expired"  # its deadline has passed
    DRAINED = "drained"  # this gateway is shutting down
    FULL = "full"  # it never waited: every place is taken


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A request's position: given out once per request, so that one that is held again keeps its place."""

    number: int
    deadline_seconds: float = field(compare=False)
    tenant: str = field(default="", compare=False)  # whose share of the queue it takes; empty without a key
    cost_audio_seconds: float = field(default=0.0, compare=False)  # estimated from its text


@dataclass(slots=True)
class HoldQueue:
    """The places of one region of one model: requests that wait, in order of their tickets, and that decide again."""

    region: str
    max_requests: int
    waiting: list[Ticket] = field(default_factory=list)
    regions: dict[int, frozenset[str]] = field(default_factory=dict)  # by ticket number: where it may be sent
    deciding: dict[int, str] = field(default_factory=dict)  # by ticket number: the region with capacity for it
    spill_after_seconds: dict[int, float] = field(default_factory=dict)

    def offer(self, ticket: Ticket, regions: frozenset[str], now_seconds: float, *, is_admitted: bool = False) -> bool:
        """Insert the ticket by its number; return False, and change nothing, when every place is taken.

        One that decides keeps its place, and one that was admitted before, as in another queue, gets one.
        """
        if self.deciding.pop(ticket.number, None) is not None:
            self.spill_after_seconds[ticket.number] = now_seconds + SPILL_PAUSE_SECONDS
        elif len(self) >= self.max_requests and not is_admitted:
            return False
        insort(self.waiting, ticket)
        self.regions[ticket.number] = regions
        return True

    def release(self, free: Mapping[str, int], now_seconds: float) -> list[Ticket]:
        """Return the oldest tickets that the regions have capacity for; they keep their places and decide again."""
        left = {region: count for region, count in free.items() if count > 0}
        released: list[Ticket] = []
        for ticket in self.waiting:
            if not left:
                break
            region = self._region_for(ticket, left, now_seconds)
            if region is None:
                continue
            left[region] -= 1
            if not left[region]:
                del left[region]
            self.deciding[ticket.number] = region
            released.append(ticket)
        if released:
            self.waiting = [ticket for ticket in self.waiting if ticket.number not in self.deciding]
        return released

    def _region_for(self, ticket: Ticket, left: Mapping[str, int], now_seconds: float) -> str | None:
        allowed = self.regions[ticket.number]
        if self.region in left and self.region in allowed:
            return self.region
        if now_seconds < self.spill_after_seconds.get(ticket.number, 0.0):
            return None
        return next((region for region in left if region in allowed), None)

    def release_all(self) -> list[Ticket]:
        """Return every waiting ticket, because there is nothing left to wait for; each is refused when it decides."""
        released, self.waiting = self.waiting, []
        self.deciding |= {ticket.number: self.region for ticket in released}
        return released

    def leave(self, ticket: Ticket) -> bool:
        """Give a ticket's place up: its request was sent, refused, or its client is gone. False without a place."""
        if ticket.number not in self.regions:
            return False
        if self.deciding.pop(ticket.number, None) is None:
            self.waiting.remove(ticket)
        del self.regions[ticket.number]
        self.spill_after_seconds.pop(ticket.number, None)
        return True

    def is_in_turn(self, ticket: Ticket) -> bool:
        """Whether a request may be sent now: one that decides again may, a new one only when none waits."""
        return ticket.number in self.deciding or not self.waiting

    def __len__(self) -> int:
        return len(self.regions)


def free_by_region(home: RegionView, views: Iterable[RegionView]) -> dict[str, int] | None:
    """Return how many further requests each region takes now; None when the queue's own region will not come."""
    if home.is_suspended or (home.failure and not home.is_awake):
        return None
    return {view.name: view.free_requests for view in views if view.is_available}
