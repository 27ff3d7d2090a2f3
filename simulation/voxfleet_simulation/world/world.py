"""The world of one run: what happens in it, and which part it concerns.

Knows how the parts are connected while a run goes. Does not know how they are made (simulation.py), what any of them
decides, nor what results mean (results/).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.demand_lease import Activity
from voxfleet_gateway.regions import DATA_KEY, ModelEntry, parse_entry
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.manifests.registry import RegistryPlace, registry_entry
from voxfleet_operator.resources import Key, Phase, Resource, VoxTTSDeploymentStatus

from voxfleet_simulation.scenario.demand import Arrivals
from voxfleet_simulation.scenario.scenario import Scenario
from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.gateway.entry import Entry
from voxfleet_simulation.world.gateway.gateway import SimulatedGateway
from voxfleet_simulation.world.gateway.leases import LeaseRenewer
from voxfleet_simulation.world.operator import SimulatedOperator
from voxfleet_simulation.world.region import SimulatedRegion
from voxfleet_simulation.world.requests import Outcome, Records, Request
from voxfleet_simulation.world.run import RunResult, Variant
from voxfleet_simulation.world.servers import DEPLOYMENT, NAMESPACE

PROGRESS_EVERY = 20_000  # arrivals


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
        owned_names = frozenset(resource.model_names)
        text = registry_entry(resource, ResourcePlan(self.plans), RegistryPlace("demand"), owned_names=owned_names)
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
