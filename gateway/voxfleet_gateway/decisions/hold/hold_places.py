"""How many requests one gateway process may hold: in requests, bytes of bodies and audio seconds. Pure.

Knows: the bounds of the process, of one model in it, and of one tenant of a model.
Does not know: in which order requests leave (tickets.py), regions.
"""

from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.regions import ObjectKey

MODEL_SHARE = 0.5  # of the process's bounds: one model that does not wake must not fill the places of all others
TENANT_SHARE = 0.75  # of a model's requests: the rest is for other tenants


@dataclass(frozen=True, slots=True)
class HoldBounds:
    """What is held at most."""

    requests: int = 2048
    body_bytes: int = 128 * 2**20
    audio_seconds: float = 100_000.0

    def share(self, ratio: float) -> "HoldBounds":
        """Return this part of the bounds."""
        return HoldBounds(ceil(self.requests * ratio), int(self.body_bytes * ratio), self.audio_seconds * ratio)


@dataclass(slots=True)
class HeldUsage:
    """What is held."""

    requests: int = 0
    body_bytes: int = 0
    audio_seconds: float = 0.0

    def add(self, ticket: Ticket, sign: int) -> None:
        """Count a ticket in, or out with a sign of -1."""
        self.requests += sign
        self.body_bytes += sign * ticket.body_bytes
        # Sums of fractions keep a rest; without requests it is none.
        self.audio_seconds = self.audio_seconds + sign * ticket.cost_audio_seconds if self.requests else 0.0

    def fits(self, ticket: Ticket, bounds: HoldBounds) -> bool:
        """Whether the ticket may be added."""
        return (
            self.requests < bounds.requests
            and self.body_bytes + ticket.body_bytes <= bounds.body_bytes
            and self.audio_seconds + ticket.cost_audio_seconds <= bounds.audio_seconds
        )


@dataclass(slots=True)
class HoldPlaces:
    """The places of one process; a model's own bound of requests comes with each question."""

    bounds: HoldBounds = field(default_factory=HoldBounds)
    used: HeldUsage = field(default_factory=HeldUsage)
    by_model: dict[ObjectKey, HeldUsage] = field(default_factory=dict)
    by_tenant: Counter[tuple[ObjectKey, str]] = field(default_factory=Counter)

    def free(self, model: ObjectKey, max_requests: int) -> int:
        """Return how many further requests of the smallest kind the model may have held."""
        smallest, used = Ticket(0, 0.0), self.by_model.get(model, HeldUsage())
        if not (self.used.fits(smallest, self.bounds) and used.fits(smallest, self.bounds.share(MODEL_SHARE))):
            return 0
        in_model = min(max_requests, ceil(self.bounds.requests * MODEL_SHARE)) - used.requests
        return max(0, min(in_model, self.bounds.requests - self.used.requests))

    def take(self, model: ObjectKey, ticket: Ticket, max_requests: int, *, is_admitted: bool = False) -> bool:
        """Count a ticket if it fits, or has been admitted before; return whether it was counted."""
        if not is_admitted and not self._fits(model, ticket, max_requests):
            return False
        self._count(model, ticket, 1)
        return True

    def give_back(self, model: ObjectKey, ticket: Ticket) -> None:
        """Count a ticket out that was taken."""
        self._count(model, ticket, -1)
        if not self.by_model[model].requests:
            del self.by_model[model]
        if not self.by_tenant[model, ticket.tenant]:
            del self.by_tenant[model, ticket.tenant]

    def _fits(self, model: ObjectKey, ticket: Ticket, max_requests: int) -> bool:
        used, share = self.by_model.get(model, HeldUsage()), self.bounds.share(MODEL_SHARE)
        most = HoldBounds(min(max_requests, share.requests), share.body_bytes, share.audio_seconds)
        # Callers without a key are all one tenant, which must not be kept from what no other one can use.
        of_tenant = ceil(most.requests * TENANT_SHARE) if ticket.tenant else most.requests
        is_within_share = self.by_tenant[model, ticket.tenant] < of_tenant
        return is_within_share and used.fits(ticket, most) and self.used.fits(ticket, self.bounds)

    def _count(self, model: ObjectKey, ticket: Ticket, sign: int) -> None:
        self.used.add(ticket, sign)
        self.by_model.setdefault(model, HeldUsage()).add(ticket, sign)
        self.by_tenant[model, ticket.tenant] += sign
