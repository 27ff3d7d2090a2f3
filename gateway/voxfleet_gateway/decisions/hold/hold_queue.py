"""Requests that wait for one region, each in its place until sent or gone. Pure.

Knows: which requests may decide again, when a new request may pass.
Does not know: clocks (the time is an argument), tenants' order (tickets.py), bounds (hold_places.py), how a waiting
request is notified.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_gateway.decisions.hold.tickets import FairOrder, Ticket
from voxfleet_gateway.decisions.snapshot import RegionView

SPILL_PAUSE_SECONDS = 0.25  # before a request that was held again may decide about the same other region again


class ReleaseReason(StrEnum):
    """Why a request stopped waiting."""

    RELEASED = "released"  # something changed: decide again
    EXPIRED = "expired"  # its deadline has passed
    DRAINED = "drained"  # this gateway is shutting down
    FULL = "full"  # it never waited: every place is taken


@dataclass(slots=True)
class HoldQueue:
    """The requests held for one region of one model: those that wait, and those that decide again."""

    region: str
    order: FairOrder = field(default_factory=FairOrder)
    regions: dict[int, frozenset[str]] = field(default_factory=dict)  # by ticket number: where it may be sent
    deciding: dict[int, str] = field(default_factory=dict)  # by ticket number: the region with capacity for it
    spill_after_seconds: dict[int, float] = field(default_factory=dict)

    def offer(self, ticket: Ticket, regions: frozenset[str], now_seconds: float) -> None:
        """Insert the ticket; one that decides returns to its place."""
        if self.deciding.pop(ticket.number, None) is None:
            self.order.add(ticket)
        else:
            self.spill_after_seconds[ticket.number] = now_seconds + SPILL_PAUSE_SECONDS
            self.order.put_back(ticket)
        self.regions[ticket.number] = regions

    def release(self, free: Mapping[str, int], now_seconds: float) -> list[Ticket]:
        """Return tickets that the regions have capacity for, fairly between tenants; they decide again."""
        left = {region: count for region, count in free.items() if count > 0}

        def claim(ticket: Ticket) -> bool:
            region = self._region_for(ticket, left, now_seconds)
            if region is None:
                return False
            self.deciding[ticket.number] = region
            left[region] -= 1
            if not left[region]:
                del left[region]
            return True

        return [*self.order.take(claim, lambda: bool(left))]

    def _region_for(self, ticket: Ticket, left: Mapping[str, int], now_seconds: float) -> str | None:
        allowed = self.regions[ticket.number]
        if self.region in left and self.region in allowed:
            return self.region
        if now_seconds < self.spill_after_seconds.get(ticket.number, 0.0):
            return None
        return next((region for region in left if region in allowed), None)

    def release_all(self) -> list[Ticket]:
        """Return every waiting ticket, because there is nothing left to wait for; each is refused when it decides."""
        released = self.order.take_all()
        self.deciding |= {ticket.number: self.region for ticket in released}
        return released

    def expired(self, now_seconds: float) -> list[Ticket]:
        """Return the waiting tickets whose deadline has passed; they keep their places until they leave."""
        return [ticket for ticket in self.order if ticket.deadline_seconds <= now_seconds]

    def leave(self, ticket: Ticket) -> bool:
        """Give a ticket's place up: its request was sent, refused, or its client is gone. False without a place."""
        if ticket.number not in self.regions:
            return False
        if self.deciding.pop(ticket.number, None) is None:
            self.order.remove(ticket)
        del self.regions[ticket.number]
        self.spill_after_seconds.pop(ticket.number, None)
        return True

    def is_in_turn(self, ticket: Ticket) -> bool:
        """Whether a request may be sent now: one that decides again may, a new one only when none waits."""
        return ticket.number in self.deciding or not self.order

    def __len__(self) -> int:
        return len(self.regions)


def free_by_region(home: RegionView, views: Iterable[RegionView]) -> dict[str, int] | None:
    """Return how many further requests each region takes now; None when the queue's own region will not come."""
    if home.is_suspended or (home.failure and not home.is_awake):
        return None
    return {view.name: view.free_requests for view in views if view.is_available}
