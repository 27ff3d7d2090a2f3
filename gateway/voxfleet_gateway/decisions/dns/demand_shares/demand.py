"""How much each group of clients asks for, estimated from answered queries. Pure: the time is an argument.

Knows: exponential decay, and a bound on the number of groups. A query stands for clients behind a resolver, so counts
say how demand is shared out between groups; how much there is in all comes from the regions' reports.
Does not know: regions, answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

HALF_LIFE_SECONDS = 300.0
MAX_GROUPS = 256  # the largest; the linear program is solved for these, the others get the nearest region
MAX_COUNTED = 4 * MAX_GROUPS  # groups counted at once
FORGOTTEN_WEIGHT = 1e-3


@dataclass(slots=True)
class GroupWeight:
    """What was counted of one group."""

    weight: float
    facts: AddressFacts  # of one of its networks, which round trips are estimated for


@dataclass(slots=True)
class QueryCounts:
    """Decayed counts of queries by group."""

    counted_at: float = 0.0
    weights: dict[ClientGroup, GroupWeight] = field(default_factory=dict)

    def add(self, group: ClientGroup, facts: AddressFacts, count: float = 1.0) -> None:
        """Count queries of a group; a further group than MAX_COUNTED is ignored until others are forgotten."""
        known = self.weights.get(group)
        if known is not None:
            known.weight += count
        elif len(self.weights) < MAX_COUNTED:
            self.weights[group] = GroupWeight(count, facts)

    def decay(self, now: float) -> None:
        """Let older queries count less, and forget groups that stopped to query."""
        factor = 0.5 ** (max(0.0, now - self.counted_at) / HALF_LIFE_SECONDS)
        self.counted_at = now
        kept: dict[ClientGroup, GroupWeight] = {}
        for group, known in self.weights.items():
            known.weight *= factor
            if known.weight > FORGOTTEN_WEIGHT:
                kept[group] = known
        self.weights = kept

    def largest(self) -> Mapping[ClientGroup, GroupWeight]:
        """Return the largest groups, at most MAX_GROUPS; equal ones in the order of their names."""
        ranked = sorted(self.weights.items(), key=lambda item: (-item[1].weight, str(item[0])))
        return dict(ranked[:MAX_GROUPS])
