"""The newest routing decisions of this gateway, for the fleet page. Pure.

Knows: that a request that is decided again, after a hold or a failed attempt, replaces its earlier decision; how many
are kept. Keeps no text, address or key: a DecisionRecord has none.
Does not know: clocks; which caller may read which decision (server/fleet/audience.py).
"""

from dataclasses import dataclass, field

from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.regions import ObjectKey

MOST_DECISIONS = 50

RequestKey = tuple[str, float]  # its id, which clients may choose, and when its head was read


@dataclass(frozen=True, slots=True)
class RecentDecision:
    """One request's newest decision; `number` counts the decisions of this process."""

    number: int
    request_id: str
    at: float  # seconds since 1970
    tenant: str
    model: ObjectKey
    decided: DecisionRecord
    first: int  # number of the request's first decision; its id is the client's choice, and may be another's too


@dataclass(slots=True)
class RecentDecisions:
    """The decisions, oldest first; the oldest is dropped beyond MOST_DECISIONS."""

    entries: dict[RequestKey, RecentDecision] = field(default_factory=dict)
    number: int = 0

    def record(self, request: RequestKey, at: float, tenant: str, model: ObjectKey, decided: DecisionRecord) -> None:
        """Keep the decision as the request's newest one."""
        self.number += 1
        earlier = self.entries.pop(request, None)
        first = earlier.first if earlier is not None else self.number
        self.entries[request] = RecentDecision(self.number, request[0], at, tenant, model, decided, first)
        if len(self.entries) > MOST_DECISIONS:
            del self.entries[next(iter(self.entries))]

    def newer_than(self, number: int) -> list[RecentDecision]:
        """Return the decisions after this one, oldest first."""
        return [each for each in self.entries.values() if each.number > number]
