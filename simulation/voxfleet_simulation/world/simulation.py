"""Builds the world of a scenario and runs it once: with the product's decisions, or with a peer's.

Knows how the parts are connected. Does not know what any of them decides, nor what results mean (results/).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from voxfleet_gateway.decisions.demand_lease import Activity, Lease
from voxfleet_gateway.regions import DATA_KEY, Location, ModelEntry, parse_entry
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.manifests.registry import RegistryPlace, registry_entry
from voxfleet_operator.resources import Key, Phase, Resource, VoxTTSDeploymentStatus
from voxfleet_operator.resources.autoscaling import Capacity, SpotUse

from voxfleet_simulation.scenario.demand import Arrivals, stream
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.scenario.scenario import HOUR_SECONDS, Scenario
from voxfleet_simulation.world.entry import Entry
from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.gateway import Client, SimulatedGateway
from voxfleet_simulation.world.holding import Holding
from voxfleet_simulation.world.knowledge import Knowledge
from voxfleet_simulation.world.leases import LeaseRenewer
from voxfleet_simulation.world.machines import MachinePool
from voxfleet_simulation.world.operator import SimulatedOperator
from voxfleet_simulation.world.policies import make_policy
from voxfleet_simulation.world.publication import Publication
from voxfleet_simulation.world.region import Callbacks, SimulatedRegion
from voxfleet_simulation.world.requests import Outcome, Records, Request
from voxfleet_simulation.world.servers import DEPLOYMENT, NAMESPACE

PRODUCT_POLICY = "voxfleet"
PROGRESS_EVERY = 20_000  # arrivals


@dataclass(frozen=True, slots=True)
class Variant:
    """What a run changes about its scenario."""

    name: str
    policy: str = PRODUCT_POLICY
    constant: tuple[int, ...] | None = None  # replicas of each region, on demand and always on
    price_weight: float = 1.0  # times the weight that routing gives prices


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: how every request ended, and every machine's bill."""

    variant: Variant
    records: Records
    bills: tuple[tuple[tuple[str, float, float], ...], ...]  # by region: pool, begin, end
    lifetimes: tuple[tuple[tuple[float, float], ...], ...]  # by region: of each server, ready and admitting
    reclaims: int
    wakes: int
    events: int


@dataclass(slots=True)
class World:
    """All parts of one run."""

    scenario: Scenario
    arrivals: Arrivals
    variant: Variant
    loop: EventLoop
    records: Records
    regions: list[SimulatedRegion] = field(default_factory=list)
    operators: list[SimulatedOperator] = field(default_factory=list)
    gateways: list[SimulatedGateway] = field(default_factory=list)
    renewers: list[LeaseRenewer] = field(default_factory=list)
    plans: dict[str, RegionPlan] = field(default_factory=dict)
    entry: Entry = field(init=False)
    wakes: int = 0
    is_polling: bool = False
    on_progress: Callable[[float], None] = lambda _part: None

    # What happened

    def pods_changed(self, index: int) -> None:
        """Have the operator observe a region whose pods changed, and gateways look again."""
        if index < len(self.operators):
            self.operators[index].notify()
        if index < len(self.gateways):
            gateway = self.gateways[index]
            gateway.knowledge.changed(index)
            gateway.region_changed()

    def begun(self, request: Request) -> None:
        """A request has its first byte."""
        self.gateways[request.gateway].begun(request)

    def ended(self, request: Request) -> None:
        """A request's response is complete."""
        self.gateways[request.gateway].ended(request)

    def cut(self, request: Request) -> None:
        """A request's server has died."""
        self.gateways[request.gateway].cut(request)

    def demanded(self, index: int) -> None:
        """Check whether a region's Lease is to be renewed."""
        self.renewers[index].check()

    def lease_changed(self, index: int) -> None:
        """A Lease was renewed or marked."""
        self.operators[index].notify()
        for gateway in self.gateways:
            gateway.knowledge.changed(index)
            gateway.region_changed()

    def activity(self, index: int) -> Activity:
        """Return what decides about renewing a region's Lease, over all gateways."""
        held, requested, last = self.held(index), False, None
        for gateway in self.gateways:
            traffic = gateway.knowledge.states[index].traffic
            requested |= traffic.is_wake_requested
            if traffic.last_finished is not None and (last is None or traffic.last_finished > last):
                last = traffic.last_finished
        # Relayed requests are counted twice: whether there are any is all that matters.
        opened = sum(gateway.knowledge.states[index].traffic.open_requests for gateway in self.gateways)
        return Activity(held, opened, requested, last)

    def renewed(self, index: int) -> None:
        """Clear the requests for a wake, which a renewal answers."""
        for gateway in self.gateways:
            gateway.knowledge.states[index].traffic.is_wake_requested = False
        self.lease_changed(index)

    def held(self, index: int) -> int:
        """Return how many requests are held for a region."""
        return sum(gateway.holding.counts(index)[0] for gateway in self.gateways)

    def planned(self, plan: RegionPlan) -> None:
        """Write the registry anew."""
        before = self.plans.get(plan.name)
        if plan.phase == Phase.WAKING and (before is None or before.phase != Phase.WAKING):
            self.wakes += 1
        self.plans[plan.name] = plan
        model = self.registry()
        for gateway in self.gateways:
            gateway.set_model(model)
            gateway.region_changed()

    def registry(self) -> ModelEntry:
        """Return the model as gateways read it from the operator's ConfigMap."""
        spec = self.scenario.spec
        resource = Resource(
            Key(NAMESPACE, DEPLOYMENT), "uid", 1, "2026-01-01T00:00:00Z", spec, VoxTTSDeploymentStatus()
        )
        text = registry_entry(resource, ResourcePlan(self.plans), RegistryPlace("demand"), owns_model_name=True)
        model = parse_entry({DATA_KEY: text})
        entries = tuple(
            entry.model_copy(update={"price_per_gpu_hour": entry.price_per_gpu_hour * self.variant.price_weight})
            for entry in model.regions
        )
        return model.model_copy(update={"regions": entries})

    def poll_held(self) -> None:
        """Let held requests look at what the newest polls say, for as long as any is held."""
        for gateway in self.gateways:
            gateway.region_changed()
        self.is_polling = any(gateway.holding.queues for gateway in self.gateways)
        if self.is_polling:
            self.loop.after(self.scenario.gateways.poll_seconds, self.poll_held)

    def begun_to_hold(self) -> None:
        """A request is held."""
        if not self.is_polling:
            self.is_polling = True
            self.loop.after(self.scenario.gateways.poll_seconds, self.poll_held)

    # Entry and outages

    def arrived(self, number: int) -> None:
        """A client sends a request."""
        arrivals = self.arrivals
        request = Request(
            number, self.loop.now, int(arrivals.countries[number]), float(arrivals.service_seconds[number])
        )
        request.gateway = self.entry.choose(request.country, arrivals.draws[number])
        if number % PROGRESS_EVERY == 0:
            self.on_progress(number / len(arrivals))
        half_seconds = self.entry.round_trips.to_regions[request.country][request.gateway] / 2
        self.loop.after(half_seconds, self.reached, request)

    def reached(self, request: Request) -> None:
        """A request reaches the gateway that DNS has named to its client."""
        if self.regions[request.gateway].is_lost:
            self.records.end(request, Outcome.UNREACHABLE)
        else:
            self.gateways[request.gateway].receive(request)

    def answer(self) -> None:
        """Update the answers of DNS."""
        spec = self.scenario.spec
        limits = [self.scenario.autoscaling(region).max_replicas for region in spec.regions]
        capacity = [each * self.scenario.rows * self.scenario.gateways.load_limit for each in limits]
        self.entry.update(capacity, [not region.is_lost for region in self.regions])
        if self.loop.now < self.scenario.ends_at:
            self.loop.after(self.scenario.gateways.dns_seconds, self.answer)

    def lose(self, index: int) -> None:
        """A region is lost."""
        self.regions[index].publish_due()
        self.regions[index].machines.lose()
        self.gateways[index].lose()

    def recover(self, index: int) -> None:
        """A lost region is back, without servers."""
        self.regions[index].machines.recover()
        self.regions[index].pods_changed()

    def run(self) -> RunResult:
        """Run to the end of the last request."""
        count = len(self.arrivals)
        self.loop.run(self.arrivals.times.tolist(), self.arrived, lambda: self.records.ended == count)
        for region in self.regions:
            region.machines.close(max(self.scenario.ends_at, self.loop.now))
        begin, end = self.scenario.begins_at, self.scenario.ends_at
        return RunResult(
            self.variant,
            self.records,
            tuple(tuple(_clipped(region.machines.bill, begin, end)) for region in self.regions),
            tuple(
                tuple(sorted((ready, stopped or end) for ready, stopped in region.lifetimes.values()))
                for region in self.regions
            ),
            sum(region.machines.reclaims for region in self.regions),
            self.wakes,
            self.loop.processed,
        )


def _clipped(bill: list[tuple[str, float, float]], begin: float, end: float) -> list[tuple[str, float, float]]:
    """Return the part of a bill within the period of the run."""
    return [(pool, max(start, begin), min(stop, end)) for pool, start, stop in bill if stop > begin and start < end]


def simulate(
    scenario: Scenario, arrivals: Arrivals, variant: Variant, on_progress: Callable[[float], None] = lambda _part: None
) -> RunResult:
    """Run a scenario once."""
    world = build(scenario, arrivals, variant)
    world.on_progress = on_progress
    return world.run()


def build(scenario: Scenario, arrivals: Arrivals, variant: Variant) -> World:
    """Return the world at the first instant."""
    if variant.constant is not None:
        scenario = _constant(scenario, variant.constant)
    loop = EventLoop(scenario.begins_at)
    world = World(scenario, arrivals, variant, loop, Records(len(arrivals)))
    _add_regions(world)
    _add_gateways(world)
    for index, region in enumerate(scenario.spec.regions):
        least = scenario.autoscaling(region).min_replicas
        if least:
            world.regions[index].begin_ready(least)
    for operator in world.operators:
        operator.notify()
    # Half an interval later: a client has had its answer for half of its lifetime in the mean.
    loop.after(scenario.gateways.dns_seconds / 2, world.answer)
    return world


def _constant(scenario: Scenario, replicas: tuple[int, ...]) -> Scenario:
    """Return the scenario with a fixed number of servers, all on demand."""
    regions = []
    for region, count in zip(scenario.spec.regions, replicas, strict=True):
        fixed = scenario.autoscaling(region).model_copy(update={"min_replicas": count, "max_replicas": max(count, 1)})
        regions.append(region.model_copy(update={"autoscaling": fixed.model_copy(update={"schedules": []})}))
    capacity = Capacity(spot=SpotUse.NEVER)
    spec = scenario.spec.model_copy(update={"regions": regions, "capacity": capacity})
    return scenario.model_copy(update={"spec": spec})


def _add_regions(world: World) -> None:
    scenario, loop = world.scenario, world.loop
    gateways = scenario.gateways
    for index, region in enumerate(scenario.spec.regions):
        autoscaling = scenario.autoscaling(region)
        simulated = SimulatedRegion(
            index,
            region.name,
            loop,
            Lease("demand", region.name, "1", autoscaling.idle_timeout_seconds),
            scenario.rows,
            scenario.spec.serving.max_queued_requests,
            scenario.spec.disruption.drain_seconds,
            Callbacks(world.pods_changed, world.begun, world.ended, world.cut),
            Publication(gateways.poll_seconds),
            Publication(gateways.peer_seconds),
        )
        operator = SimulatedOperator(
            simulated, scenario.spec, autoscaling, loop, world.held, world.planned, world.lease_changed, region.suspend
        )
        simulated.machines = MachinePool(
            region.name,
            scenario.machines,
            loop,
            stream(scenario.seed, f"machines {region.name}"),
            simulated.started,
            operator.notify_of,
            simulated.die,
            _droughts(scenario, region.name),
        )
        world.regions.append(simulated)
        world.operators.append(operator)
        world.renewers.append(LeaseRenewer(simulated, loop, partial(world.activity, index), world.renewed))
        world.plans[region.name] = RegionPlan(region.name, Phase.ASLEEP, 0, "Asleep")
        for begin, _ in simulated.machines.droughts:
            loop.at(begin, simulated.machines.begin_drought)
        for outage in scenario.outages:
            if outage.region == region.name:
                begins_at = scenario.begins_at + outage.start_hour * HOUR_SECONDS
                loop.at(begins_at, world.lose, index)
                loop.at(begins_at + outage.minutes * 60, world.recover, index)


def _droughts(scenario: Scenario, region: str) -> tuple[tuple[float, float], ...]:
    found = []
    for drought in scenario.machines.droughts:
        if not drought.regions or region in drought.regions:
            begin = scenario.begins_at + drought.start_hour * HOUR_SECONDS
            found.append((begin, begin + drought.hours * HOUR_SECONDS))
    return tuple(found)


def _add_gateways(world: World) -> None:
    scenario, loop = world.scenario, world.loop
    trips = make_round_trips(scenario)
    world.entry = Entry(
        trips,
        scenario.gateways.dns_seconds,
        scenario.gateways.entry == "balanced",
        scenario.service.mean_seconds,
    )
    clients = tuple(
        Client(country.name, Location(country.location.latitude, country.location.longitude), row)
        for country, row in zip(scenario.demand.countries, trips.to_regions, strict=True)
    )
    model = world.registry()
    names = tuple(region.name for region in world.regions)
    for index, region in enumerate(world.regions):
        holding = Holding(model.ref, scenario.spec.gateway.max_held_requests, names)
        gateway = SimulatedGateway(
            index,
            region.name,
            loop,
            Knowledge(index, world.regions, loop, holding.counts, trips.between_regions[index]),
            holding,
            make_policy(world.variant.policy),
            clients,
            trips,
            world.records,
            Random(f"{scenario.seed} {region.name}"),  # noqa: S311 - a draw among equals, not a secret
            world.demanded,
            world.begun_to_hold,
            min(scenario.gateways.hold_seconds, scenario.spec.gateway.hold_seconds),
            world.variant.policy == PRODUCT_POLICY,
        )
        gateway.set_model(model)
        gateway.peers = world.gateways
        world.gateways.append(gateway)
