"""What nodes cost, and what was saved: node seconds by capacity type, as values.

Knows prices per hour. Does not know where nodes come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class PricedNode:
    """A node that is paid for, at its own price and at that of the same machine on demand, dollars per hour."""

    name: str
    capacity_type: str
    price: float
    on_demand_price: float


@dataclass(slots=True)
class Bill:
    """The sum of all samples. A node is paid from its first sample to its last."""

    seconds: dict[str, float] = field(default_factory=dict)  # by capacity type
    paid: float = 0.0
    on_demand: float = 0.0  # the same node seconds, all on demand
    elapsed_seconds: float = 0.0

    def add(self, nodes: Iterable[PricedNode], seconds: float) -> None:
        """Add the time since the sample before."""
        self.elapsed_seconds += seconds
        for node in nodes:
            self.seconds[node.capacity_type] = self.seconds.get(node.capacity_type, 0.0) + seconds
            self.paid += node.price * seconds / SECONDS_PER_HOUR
            self.on_demand += node.on_demand_price * seconds / SECONDS_PER_HOUR

    def always_on(self, nodes: int, on_demand_price: float) -> float:
        """Return what that many on-demand nodes would have cost, had they never been given back."""
        return nodes * on_demand_price * self.elapsed_seconds / SECONDS_PER_HOUR


def saved_ratio(paid: float, other: float) -> float:
    """Return the share of another price that was not paid; 0 where nothing would have been paid."""
    return 0.0 if other <= 0 else 1 - paid / other
