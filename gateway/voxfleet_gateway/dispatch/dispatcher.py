"""Finds a target for a request: decides, wakes, holds, and decides again until there is one or the request is refused.

Knows: the loop around the pure decision. Does not know: bodies, headers, the pods' responses.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from voxfleet_gateway.decisions.caller import CATALOG, Access, Caller
from voxfleet_gateway.decisions.client_location import RegionPlaces
from voxfleet_gateway.decisions.hold.hold_queue import ReleaseReason
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.decisions.peers.remote_view import through_gateway
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.routing import Decision, RouteRequest, RttSource, decide, usable_regions
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.round_trips import by_distance
from voxfleet_gateway.dispatch.handover import Handover
from voxfleet_gateway.dispatch.hold_prospects import estimate_seconds, expired, free_capacity, not_held
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.dispatch.target import PodTarget, Target
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.peers.spill import Spills
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.refusals import (
    gateway_draining,
    gateway_starting,
    model_forbidden,
    refused_by_decision,
    too_many_waiting,
    unknown_model,
)
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.telemetry import DECISION, WAKES

SHOWN_NAMES = 10  # of models, in a 404

RoundTrips = Callable[[ClientPlace, RegionPlaces, str], tuple[tuple[float, ...], RttSource]]


@dataclass(slots=True)
class Dispatcher:
    """Shared by all requests of this gateway."""

    fleet: Fleet
    hold_queues: HoldQueues
    on_demand: Callable[[RegionKey], None]
    handover: Handover = field(default_factory=Handover)
    spills: Spills | None = None  # to regions of other clusters
    is_synced: Callable[[], bool] = lambda: True  # whether the registry has been read once
    round_trips: RoundTrips = by_distance  # between a client and regions, as a gateway of a region knows them
    take_wake: Callable[[Caller], Refusal | None] = lambda _: None  # counts it; a refusal beyond the tenant's budget
    on_decision: Callable[[ModelEntry, RequestContext], None] = lambda _model, _context: None

    async def find_target(
        self, name: str, route_request: RouteRequest, ticket: Ticket, context: RequestContext
    ) -> Target:
        """Return a pod with capacity, now or after a wake, or the gateway of a region that has one.

        Raises RequestRefusedError if there is none in time.
        """
        try:
            while True:
                model = self.model(name, context.caller)  # again after each hold: the registry may have changed
                is_admitted = context.held_seconds > 0 or context.attempts > 0 or context.is_handed_over
                decision = self.decide(model, replace(route_request, is_admitted=is_admitted), context)
                self.on_decision(model, context)
                self.check_holdable(decision, model, context)
                self.wake_for(decision, model, context.caller)
                if decision.action == "refuse" or decision.region is None:
                    raise RequestRefusedError(refused_by_decision(decision))
                key = model.key(decision.region)
                self._count_arrival(key, context)
                target = self._target(decision, key, model, ticket, context)
                if target is not None:
                    return target
                await self._hold(key, model, ticket, context)
        finally:  # found, refused, or the client has disconnected: its place is another request's
            self.hold_queues.leave(ticket)

    def _target(
        self, decision: Decision, key: RegionKey, model: ModelEntry, ticket: Ticket, context: RequestContext
    ) -> Target | None:
        """Return where the request is sent now; None where it is held here."""
        is_served, is_in_turn = decision.action == "serve", self.hold_queues.is_in_turn(key, ticket)
        target: Target | None = None
        if is_served and is_in_turn and (pod := self.fleet.pick_pod(key)):
            target = PodTarget(key, model, pod, self.fleet, self.on_demand)
        elif is_in_turn or not is_served:  # a peer holds what has to wait for its region
            target = self._remote(key, model, ticket, context)
        if target is not None:
            context.restore_held_route()
            return target
        return self._peer(key, model, ticket, context)

    def model(self, name: str, caller: Caller) -> ModelEntry:
        """Return the model of this name; raises RequestRefusedError (404, or 503 before the models are read)."""
        model = self.fleet.registry().resolve(name)
        access = self._access(model, caller) if model is not None else Access.UNKNOWN
        if model is not None and access is Access.ALLOWED:
            return model
        if not self.is_synced():
            raise RequestRefusedError(gateway_starting())
        if access is Access.FORBIDDEN:
            raise RequestRefusedError(model_forbidden(name))
        raise RequestRefusedError(unknown_model(name, islice(self.names(caller), SHOWN_NAMES)))

    def names(self, caller: Caller) -> Iterator[str]:
        """Yield every name of a model that the caller may use."""
        by_name = self.fleet.registry().by_name
        return (name for name, model in by_name.items() if self._access(model, caller) is Access.ALLOWED)

    def may_use(self, model: ModelEntry, caller: Caller) -> bool:
        """Whether the caller may use the model."""
        return self._access(model, caller) is Access.ALLOWED

    def has_public_models(self) -> bool:
        """Whether a caller without a key may see any name; true until the models have been read."""
        return not self.is_synced() or any(self.names(CATALOG))

    def _access(self, model: ModelEntry, caller: Caller) -> Access:
        # A bare name in a key's list means the model that has it now: several may claim it.
        bare_names = [name for name in model.bare_names if self.fleet.registry().by_name.get(name) is model]
        return caller.access(model.full_name, bare_names, is_public=model.gateway.public_catalog)

    def decide(self, model: ModelEntry, route_request: RouteRequest, context: RequestContext) -> Decision:
        """Decide on the regions' present state by the model's present rules, and keep the record in the context."""
        client = _client(route_request, context)
        rtt_seconds, rtt_source = self.round_trips(client, model.places, route_request.gateway_region)
        asked = replace(
            route_request,
            rtt_seconds=rtt_seconds,
            rtt_source=rtt_source,
            rules=model.gateway,
            is_model_suspended=model.suspended,
        )
        began_seconds = time.perf_counter()
        standings = self.fleet.standings(model)
        rtts_seconds = through_gateway(asked.rtt_seconds, standings, model.places, asked.gateway_region)
        if rtts_seconds is not asked.rtt_seconds:
            asked = replace(asked, rtt_seconds=rtts_seconds)
        decision = decide(standings, asked)
        DECISION.observe(time.perf_counter() - began_seconds)
        context.record_decision(DecisionRecord(asked, standings, decision))
        return decision

    def check_holdable(self, decision: Decision, model: ModelEntry, context: RequestContext) -> None:
        """Raise RequestRefusedError (503) where the request would wait and the gateway that sent it holds it."""
        if decision.action == "hold" and decision.region is not None and not context.may_hold:
            raise RequestRefusedError(not_held(self.fleet, model.key(decision.region)))

    def wake_for(self, decision: Decision, model: ModelEntry, caller: Caller) -> None:
        """Start the wakes of a decision. Raises RequestRefusedError (429) when it waits for one beyond the budget."""
        refusals = {region: self.wake(model.key(region), caller) for region in decision.wake}
        if decision.action == "hold" and (refusal := refusals.get(decision.region or "")) is not None:
            raise RequestRefusedError(refusal)

    def wake(self, key: RegionKey, caller: Caller) -> Refusal | None:
        """Start a wake of the region unless one is running, and renew its demand Lease.

        Does nothing, and returns the refusal, when the wake would exceed the budget of the caller's tenant.
        """
        if self.spills is not None and self.fleet.regions[key].remote is not None:
            return self._wake_remote(self.spills, key, caller)
        if self.fleet.would_wake(key) and (refusal := self.take_wake(caller)) is not None:
            return refusal
        if self.fleet.request_wake(key):
            WAKES.labels(*key.labels).inc()
        self.on_demand(key)
        return None

    def _wake_remote(self, spills: Spills, key: RegionKey, caller: Caller) -> Refusal | None:
        """Have the region's gateway start a wake, which its tenant is charged for here."""
        if spills.would_wake(key) and (refusal := self.take_wake(caller)) is not None:
            return refusal
        spills.wake(key, self.fleet.regions[key].model, caller)
        return None

    def region_changed(self, key: RegionKey) -> None:
        """Release held requests of the region's model, as many as can be served or must be refused now."""
        # Requests held for another region of the model may move to this one.
        for waiting in self.hold_queues.of_model((key.namespace, key.name)):
            self.hold_queues.release(waiting, free_capacity(self.fleet, self.hold_queues, waiting))

    def hand_over(self) -> None:
        """Pass held requests, and those that would be held from now on, to the other gateways of the region."""
        self.handover.is_active = True
        for key in [*self.hold_queues.queues]:
            self.hold_queues.release(key, None)

    def _peer(self, key: RegionKey, model: ModelEntry, ticket: Ticket, context: RequestContext) -> Target | None:
        """Return the gateway that holds the request from now on; None where it is held here."""
        if not context.may_be_handed_over or context.decided is None:
            return None
        peer = self.handover.target(key, model, context.decided.route_request, ticket)
        context.may_be_handed_over = peer is None
        return peer

    def _remote(self, key: RegionKey, model: ModelEntry, ticket: Ticket, context: RequestContext) -> Target | None:
        """Return the gateway that serves a region of another cluster; None for one that is here, or not to be asked."""
        if self.spills is None or context.decided is None or self.fleet.regions[key].remote is None:
            return None
        return self.spills.target(key, model, context.decided, ticket.deadline_seconds)

    def _count_arrival(self, key: RegionKey, context: RequestContext) -> None:
        """Count the request once, in the region where it was first sent or held."""
        if context.key is None and not context.is_spilled:  # the peer's client arrived there
            country = context.decided.route_request.client_country if context.decided else None
            self.fleet.regions[key].traffic.record_arrival(time.monotonic(), country)
        context.key = key

    async def _hold(self, key: RegionKey, model: ModelEntry, ticket: Ticket, context: RequestContext) -> None:
        if not context.may_hold:
            raise RequestRefusedError(not_held(self.fleet, key))
        held_before_seconds = context.held_seconds
        with context.holding():
            reason = await self.hold_queues.wait(
                key,
                ticket,
                model,
                _usable_regions(key, model, context),
                is_admitted=context.attempts > 0 or context.is_handed_over,
            )
        context.held_route = context.route
        if reason is ReleaseReason.FULL:
            context.held_seconds = held_before_seconds  # it had no place: no hold of 0 s
            context.route = "hold-full"
            raise RequestRefusedError(too_many_waiting(key.region, estimate_seconds(self.fleet, key)))
        if reason is ReleaseReason.EXPIRED:
            raise RequestRefusedError(expired(self.fleet, key, context.held_seconds))
        if reason is ReleaseReason.DRAINED:
            raise RequestRefusedError(gateway_draining())


def _client(route_request: RouteRequest, context: RequestContext) -> ClientPlace:
    """Return the client as the middleware has found it, or as the request's sender says where there was none."""
    if context.client is not UNKNOWN:
        return context.client
    return ClientPlace(ClientNetwork(country=route_request.client_country or "", location=route_request.client))


def _usable_regions(key: RegionKey, model: ModelEntry, context: RequestContext) -> frozenset[str]:
    """Return the regions that the request may be sent to, whatever their state, by its newest decision."""
    if context.decided is None or not model.gateway.spill:
        return frozenset({key.region})
    return usable_regions(context.decided.standings, context.decided.route_request)
