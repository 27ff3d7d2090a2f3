"""What reconciles of remote regions came to: all that a remote cluster's workers report to the others.

Knows that a part of a resource is one Secret's regions. Does not know how either side works.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.remote.recorded import RemoteRegion, SecretKey
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.resources import Key
from voxfleet_operator.status.conditions import Problem


class Part(NamedTuple):
    """The regions of a resource in one remote cluster."""

    key: Key
    secret: SecretKey


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reconcile of a part came to; `entry`: what the gateways there were sent."""

    generation: int
    plans: Mapping[str, RegionPlan]
    states: Mapping[str, RegionState]
    problems: tuple[Problem, ...] = ()
    is_applied: bool = False
    entry: str = ""

    def differs(self, other: "Outcome | None") -> bool:
        """Whether the resource's status may differ: times alone do not count."""
        return other is None or _headline(self) != _headline(other)


@dataclass(slots=True)
class Outcomes:
    """The latest outcome of each part, and what each resource's own reconcile planned last for all of its regions.

    `cleaned`: regions by resource uid in whose clusters nothing is left; `not_cleaned`: why something still is.
    """

    latest: dict[Part, Outcome] = field(default_factory=dict)
    merged: dict[Key, ResourcePlan] = field(default_factory=dict)
    cleaned: set[tuple[str, RemoteRegion]] = field(default_factory=set)
    not_cleaned: dict[tuple[Key, RemoteRegion], str] = field(default_factory=dict)

    def forget(self, key: Key) -> None:
        """Drop what is known of a deleted resource."""
        self.merged.pop(key, None)
        self.latest = {part: each for part, each in self.latest.items() if part.key != key}
        self.not_cleaned = {known: text for known, text in self.not_cleaned.items() if known[0] != key}

    def forget_cleaned(self, uid: str, regions: frozenset[RemoteRegion]) -> None:
        """Drop regions that are recorded on the resource no longer."""
        self.cleaned -= {(uid, region) for region in regions}
        self.not_cleaned = {known: text for known, text in self.not_cleaned.items() if known[1] not in regions}


def _headline(outcome: Outcome) -> object:
    plans = {name: replace(plan, requeue_at=None) for name, plan in outcome.plans.items()}
    ready = {name: len(state.ready_pods) for name, state in outcome.states.items()}
    return outcome.generation, plans, ready, outcome.problems, outcome.is_applied
