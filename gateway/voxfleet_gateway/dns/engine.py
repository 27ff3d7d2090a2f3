"""Keeps the data that PowerDNS is answered from: models, addresses, plans; made anew when any of them changes.

Knows: which input becomes which part of the data. Does not know: sockets, how a problem is solved, reports' transport.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from voxfleet_gateway.decisions.dns.answering import EVERY_MODEL, Answered, Answering, ZoneData
from voxfleet_gateway.decisions.dns.demand_shares.demand import QueryCounts
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import RoutingProblem, RoutingSolution
from voxfleet_gateway.decisions.dns.leaf_exploration import Exploration
from voxfleet_gateway.decisions.dns.planning import ModelView, RegionState, SolvedModel, fallback_of
from voxfleet_gateway.decisions.dns.records import Endpoint
from voxfleet_gateway.decisions.dns.region_choice import Rtts, rtts_by_distance
from voxfleet_gateway.decisions.dns.scopes import FindLeaf
from voxfleet_gateway.decisions.dns.served_models import ServedModel, ServedRegion, served_model
from voxfleet_gateway.decisions.dns.zone import zone_of
from voxfleet_gateway.dns.inputs.url_rules import UrlRules
from voxfleet_gateway.dns.inputs.zone_file import MAX_REGIONS, ZoneFile
from voxfleet_gateway.dns.telemetry import ANSWERS, FALLBACK, OVERLOAD
from voxfleet_gateway.regions import ModelEntry

OTHER_REGION = "other"  # label of regions beyond the bound
FALLBACKS = ("none", "last-good", "geography", "static")

Source = tuple[str, str]  # region and the URL of its gateway
StateOf = Callable[[Source, float], RegionState]

log = structlog.get_logger(__name__)


def _unknown(_source: Source, _now: float) -> RegionState:
    return RegionState()


@dataclass(slots=True)
class Engine:
    """The state of one engine."""

    file: ZoneFile
    find_leaf: FindLeaf
    entries: tuple[ModelEntry, ...] = ()  # of the registry
    resolved: Mapping[str, Endpoint] = field(default_factory=dict)  # by gatewayURL
    state_of: StateOf = _unknown
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time  # which all engines share, so that all explore the same
    explore_share: float = 0.0
    url_rules: UrlRules = field(default_factory=UrlRules)
    rtts: Rtts = rtts_by_distance
    counts: dict[str, QueryCounts] = field(default_factory=dict)  # by the model's full name
    solved: dict[str, SolvedModel] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)  # regions that metrics have a label for
    answering: Answering = field(init=False)

    def __post_init__(self) -> None:
        self.answering = Answering(self._data(), self._count)

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The models that are served, those that own a name first: of the file, then of the registry, oldest first."""
        listed = {model.full_name: model for model in self.file.served_models}
        regions = self.file.served_regions
        administrators = {region.gateway_url for region in regions.values()}
        for entry in sorted(self.entries, key=lambda each: (not each.owns_model_name, each.created_at, each.full_name)):
            model = served_model(entry)
            merged = tuple(
                self._with_rules(_merged(region, regions.get(region.name)), administrators) for region in model.regions
            )
            listed.setdefault(model.full_name, replace(model, regions=merged))
        return tuple(listed.values())

    @property
    def sources(self) -> set[Source]:
        """The regions that may be asked for reports."""
        return {_source(region) for model in self.models for region in model.regions if region.gateway_url}

    @property
    def urls(self) -> set[str]:
        """The gatewayURLs whose hosts must be resolved."""
        known = self.file.endpoints
        return {
            region.gateway_url
            for region in (
                *self.file.served_regions.values(),
                *(each for model in self.models for each in model.regions),
            )
            if region.gateway_url and region.name not in known
        }

    def refresh(self) -> None:
        """Answer from the present state; nothing happens when it leads to the same data."""
        data = self._data()
        if data != self.answering.data:
            self.answering.replace(data)

    def problems(self) -> dict[str, RoutingProblem]:
        """Return the problems that can be solved now, by model."""
        now, found = self.clock(), {}
        for view in self._views(now):
            counts = self.counts.get(view.model.full_name)
            if counts is None:
                continue
            counts.decay(now)
            problem = view.problem(counts.largest(), self.solved.get(view.model.full_name))
            if problem is not None:
                found[view.model.full_name] = problem
        return found

    def use(self, model: str, solution: RoutingSolution) -> None:
        """Use a solution from now on."""
        self.solved[model] = SolvedModel(solution, self.clock())

    def refresh_gauges(self) -> None:
        """Set what no event sets, before it is read."""
        now = self.clock()
        counts = dict.fromkeys(FALLBACKS, 0)
        overload = 0.0
        for model in self.models:
            solved = self.solved.get(model.full_name)
            counts[fallback_of(model, solved, now)] += 1
            overload = max(overload, solved.solution.overload if solved else 0.0)
        for fallback, count in counts.items():
            FALLBACK.labels(fallback).set(count)
        OVERLOAD.set(overload)

    def _views(self, now: float) -> Iterable[ModelView]:
        for model in self.models:
            states = {region.name: self.state_of(_source(region), now) for region in model.regions}
            yield ModelView(model, states, self.rtts)

    def _data(self) -> ZoneData:
        now, models, file = self.clock(), self.models, self.file
        self.solved = {each.full_name: self.solved[each.full_name] for each in models if each.full_name in self.solved}
        self.counts = {each.full_name: self.counts.get(each.full_name, QueryCounts(now)) for each in models}
        endpoints = {(EVERY_MODEL, name): endpoint for name, endpoint in file.endpoints.items()}
        for region in file.served_regions.values():
            if (EVERY_MODEL, region.name) not in endpoints and region.gateway_url in self.resolved:
                endpoints[EVERY_MODEL, region.name] = self.resolved[region.gateway_url]
        for model in models:
            for region in model.regions:
                if region.gateway_url in self.resolved:
                    endpoints[model.full_name, region.name] = self.resolved[region.gateway_url]
        exploration = Exploration.at(self.wall_clock(), self.explore_share)
        plans = {
            view.model.full_name: _with_addresses(view, endpoints).plan(
                self.solved.get(view.model.full_name), file.default_region, now, exploration
            )
            for view in self._views(now)
        }
        zone = zone_of(file.apex, file.records.servers, file.served_regions, models)
        return ZoneData(zone, file.records, file.glue, endpoints, plans, self.find_leaf)

    def _with_rules(self, region: ServedRegion, administrators: Collection[str]) -> ServedRegion:
        return replace(region, gateway_url=self.url_rules.allowed(region.gateway_url, administrators))

    def _count(self, answered: Answered) -> None:
        region = answered.region
        if region not in self.labelled:
            region = OTHER_REGION if len(self.labelled) >= MAX_REGIONS else region
            self.labelled.add(region)
        ANSWERS.labels(region, answered.basis).inc()
        if answered.facts is not None:
            self.counts[answered.model].add(answered.group, answered.facts)


def _with_addresses(view: ModelView, endpoints: Mapping[tuple[str, str], Endpoint]) -> ModelView:
    """Leave regions out that no address is known of."""
    known = tuple(
        region
        for region in view.model.regions
        if (EVERY_MODEL, region.name) in endpoints or (view.model.full_name, region.name) in endpoints
    )
    return replace(view, model=replace(view.model, regions=known))


def _merged(region: ServedRegion, configured: ServedRegion | None) -> ServedRegion:
    """Return a region of the registry with what the zone file has of it; the file wins where it says something."""
    if configured is None:
        return region
    return replace(
        region,
        location=configured.location or region.location,
        countries=configured.countries or region.countries,
        price_per_gpu_hour=configured.price_per_gpu_hour or region.price_per_gpu_hour,
        max_slots=configured.max_slots or region.max_slots,
        gateway_url=configured.gateway_url or region.gateway_url,
    )


def _source(region: ServedRegion) -> Source:
    return region.name, region.gateway_url
