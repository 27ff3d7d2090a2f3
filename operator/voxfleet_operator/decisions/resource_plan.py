"""Decides one resource: `decide(observed, now) -> ResourcePlan`, around the decisions about its regions.

Knows what no single region knows: which regions there are, and when the first of them is due. What regions must agree
on (a rollout that needs another region to serve, the cost of all) is decided here. Does not know objects or clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_operator.decisions import region_plan
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import RegionPlan


@dataclass(frozen=True, slots=True)
class ResourceState:
    """Everything that a decision about one resource may depend on, beside the time: its regions by name."""

    regions: Mapping[str, RegionState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """The decision about a resource: the plan of every region, by name, in the order of the spec."""

    regions: Mapping[str, RegionPlan]

    @property
    def replicas(self) -> int:
        """Replicas that shall serve in all regions."""
        return sum(plan.replicas for plan in self.regions.values())

    @property
    def requeue_at(self) -> float | None:
        """When to decide again, if no event comes before."""
        return min((plan.requeue_at for plan in self.regions.values() if plan.requeue_at is not None), default=None)


def decide(observed: ResourceState, now: float) -> ResourcePlan:
    """Return the plan of every region, all for the same time: they must agree on what is due."""
    return ResourcePlan({name: region_plan.decide(state, now) for name, state in observed.regions.items()})
