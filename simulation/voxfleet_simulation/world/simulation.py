"""Builds the world of a scenario and runs it once: with the product's decisions, or with a peer's.

Knows how the parts are made and connected. Does not know what happens in a run (world.py), nor what any part decides.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.regions import Location
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.resources import Phase
from voxfleet_operator.resources.spec.autoscaling import Capacity, SpotUse

from voxfleet_simulation.scenario.demand import Arrivals, stream
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.scenario.scenario import HOUR_SECONDS, Scenario
from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.gateway.entry import Entry
from voxfleet_simulation.world.gateway.gateway import SimulatedGateway
from voxfleet_simulation.world.gateway.holding import Holding
from voxfleet_simulation.world.gateway.knowledge import Knowledge
from voxfleet_simulation.world.gateway.leases import LeaseRenewer
from voxfleet_simulation.world.gateway.policies import make_policy
from voxfleet_simulation.world.gateway.route_requests import Client, RouteRequests
from voxfleet_simulation.world.machines import MachinePool
from voxfleet_simulation.world.operator import SimulatedOperator
from voxfleet_simulation.world.publication import Publication
from voxfleet_simulation.world.region import Callbacks, SimulatedRegion
from voxfleet_simulation.world.requests import Records
from voxfleet_simulation.world.run import PRODUCT_POLICY, RunResult, Variant
from voxfleet_simulation.world.world import World


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
            RouteRequests(
                region.name,
                clients,
                trips.between_regions[index],
                index,
                decides_by_path=world.variant.policy == PRODUCT_POLICY,
            ),
            trips,
            world.records,
            Random(f"{scenario.seed} {region.name}"),  # noqa: S311 - a draw among equals, not a secret
            world.demanded,
            world.begun_to_hold,
            min(scenario.gateways.hold_seconds, scenario.spec.gateway.hold_seconds),
        )
        gateway.set_model(model)
        gateway.peers = world.gateways
        world.gateways.append(gateway)
