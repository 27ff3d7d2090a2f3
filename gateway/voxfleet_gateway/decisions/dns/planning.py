"""From reports, health and query counts to a routing problem, and from its solution to a plan. Pure.

The chain of fallbacks: the newest solution -> the last good one, for LAST_GOOD_SECONDS -> geography -> the default
region.
Does not know: how reports arrive, how a problem is solved, names and records.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.demand_shares.demand import GroupWeight
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import (
    GroupDemand,
    RegionSupply,
    RoutingProblem,
    RoutingSolution,
    Shares,
)
from voxfleet_gateway.decisions.dns.leaf_exploration import NO_EXPLORATION, Exploration
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion, Rtts, rtts_by_distance
from voxfleet_gateway.decisions.dns.served_models import ServedModel, ServedRegion
from voxfleet_gateway.decisions.region_standing import PRICE_SECONDS_PER_UNIT

SOLVE_SECONDS = 15.0
FRESH_SECONDS = 3 * SOLVE_SECONDS  # an older solution is a last good one
LAST_GOOD_SECONDS = 600.0
# A region that is asleep is worth a round trip of another one that is awake, up to this: its gateway holds or passes on
# the request and wakes it. Far above it clients of a sleeping continent would never wake their own region.
ASLEEP_SECONDS = 0.15
ROOM_SHARE = 0.5  # of the ready slots, up to which clients are sent to a region without need; solutions fill 0.8

Fallback = Literal["none", "last-good", "geography", "static"]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What a region last reported of a model."""

    ready_slots: float  # requests that its ready replicas can have open at once
    open_requests: float = 0.0  # open or held
    arrivals_by_country: Mapping[str, float] = field(default_factory=dict)  # requests per second of its own clients


@dataclass(frozen=True, slots=True)
class RegionState:
    """What is known of a region when a plan is made."""

    admission: float = 1.0  # 0: it is out
    is_reporting: bool = False  # it has a fresh report
    models: Mapping[str, ModelReport] = field(default_factory=dict)  # by the model's full name


UNREPORTED = RegionState()


@dataclass(frozen=True, slots=True)
class SolvedModel:
    """A solution and its time."""

    solution: RoutingSolution
    solved_at: float


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model with what is known of its regions now."""

    model: ServedModel
    states: Mapping[str, RegionState] = field(default_factory=dict)  # by region
    rtts: Rtts = rtts_by_distance

    @property
    def regions(self) -> tuple[PlannedRegion, ...]:
        """The regions that clients may be sent to, with their health."""
        return tuple(
            PlannedRegion(
                region.name,
                region.location,
                self._state(region).admission,
                region.countries,
                has_room=self._has_room(region),
            )
            for region in self.model.usable_regions
        )

    def problem(
        self, weights: Mapping[ClientGroup, GroupWeight], previous: SolvedModel | None
    ) -> RoutingProblem | None:
        """Return the problem to solve; None when nothing new is known: no region reports, or no query was counted."""
        states = [self._state(region) for region in self.model.usable_regions]
        if not weights or not any(state.is_reporting for state in states):
            return None
        supplies, planned = self._supplies(), self.regions
        demands = tuple(
            GroupDemand(group, demand, self._group_rtts(group, weights[group], supplies, planned))
            for group, demand in self._demands(weights).items()
        )
        return RoutingProblem(supplies, demands, _previous_shares(previous, {each.name for each in supplies}))

    def plan(
        self,
        solved: SolvedModel | None,
        default_region: str,
        now: float,
        exploration: Exploration = NO_EXPLORATION,
    ) -> ModelPlan:
        """Return the plan that answers are taken from until the next one."""
        is_good = solved is not None and now - solved.solved_at <= LAST_GOOD_SECONDS
        shares = solved.solution.shares if solved is not None and is_good else {}
        return ModelPlan(self.regions, shares, default_region, self.rtts, exploration)

    def _state(self, region: ServedRegion) -> RegionState:
        return self.states.get(region.name, UNREPORTED)

    def _report(self, region: ServedRegion) -> ModelReport | None:
        """Return a region's fresh report of this model."""
        state = self._state(region)
        return state.models.get(self.model.full_name) if state.is_reporting else None

    def _reports(self) -> Iterator[ModelReport]:
        for region in self.model.usable_regions:
            if (report := self._report(region)) is not None:
                yield report

    def _has_room(self, region: ServedRegion) -> bool:
        report = self._report(region)
        if report is None or region.is_suspended or report.ready_slots <= 0:
            return False
        return report.open_requests <= ROOM_SHARE * report.ready_slots

    def _demands(self, weights: Mapping[ClientGroup, GroupWeight]) -> dict[ClientGroup, float]:
        """Share the open requests out to groups: by arrivals between countries, by queries inside each of them."""
        total = sum(report.open_requests for report in self._reports())
        by_country: Counter[str] = Counter()
        for report in self._reports():
            by_country.update(report.arrivals_by_country)
        counted: Counter[str] = Counter()
        for group, each in weights.items():
            counted[group.country] += each.weight  # type: ignore[assignment]  # a Counter adds floats as well
        known = {
            group: by_country[group.country] * each.weight / counted[group.country] for group, each in weights.items()
        }
        parts = known if any(known.values()) else {group: each.weight for group, each in weights.items()}
        whole = sum(parts.values())
        return {group: total * part / whole for group, part in parts.items()}

    def _supplies(self) -> tuple[RegionSupply, ...]:
        return tuple(self._supply(region, self._state(region)) for region in self.model.usable_regions)

    def _supply(self, region: ServedRegion, state: RegionState) -> RegionSupply:
        """Return what a region can serve: what is ready, or all it may wake at a charge, or what is configured."""
        price = region.price_per_gpu_hour * PRICE_SECONDS_PER_UNIT
        report = self._report(region)
        if report is not None and report.ready_slots > 0:
            return RegionSupply(region.name, report.ready_slots * state.admission, price)
        asleep = ASLEEP_SECONDS if state.is_reporting else 0.0
        return RegionSupply(region.name, region.max_slots * state.admission, price + asleep)

    def _group_rtts(
        self,
        group: ClientGroup,
        weight: GroupWeight,
        supplies: tuple[RegionSupply, ...],
        planned: tuple[PlannedRegion, ...],
    ) -> tuple[float | None, ...]:
        """Return round trips to the regions that may serve the group; to all where none with capacity may."""
        serving = [
            supply.slots > 0 and (not group.country or not region.countries or group.country in region.countries)
            for region, supply in zip(planned, supplies, strict=True)
        ]
        found = self.rtts(weight.facts, planned)
        if not any(serving):
            return tuple(found)
        return tuple(rtt if may else None for rtt, may in zip(found, serving, strict=True))


def fallback_of(model: ServedModel, solved: SolvedModel | None, now: float) -> Fallback:
    """Return which step of the chain a plan of now stands on."""
    if solved is not None and now - solved.solved_at <= FRESH_SECONDS:
        return "none"
    if solved is not None and now - solved.solved_at <= LAST_GOOD_SECONDS:
        return "last-good"
    return "geography" if any(region.location for region in model.usable_regions) else "static"


def _previous_shares(previous: SolvedModel | None, names: set[str]) -> dict[ClientGroup, Shares]:
    if previous is None:
        return {}
    return {
        group: kept
        for group, shares in previous.solution.shares.items()
        if (kept := {name: part for name, part in shares.items() if name in names})
    }
