"""Finds a pod for a request: decides, wakes, holds, and decides again until there is one or the answer is no.

Knows: the loop around the pure decision. Does not know: bodies, headers, pods' answers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from voxfleet_gateway.decisions.hold_queue import ReleaseReason, Ticket
from voxfleet_gateway.decisions.routing import Decision, RouteRequest, decide
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_report import PodRecord
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.request_context import RequestContext
from voxfleet_gateway.server.responses import (
    gateway_ending,
    refused_by_decision,
    still_full,
    still_waking,
    unknown_model,
)
from voxfleet_gateway.telemetry import HELD, WAKES


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    key: RegionKey
    pod: PodRecord
    model: ModelEntry


@dataclass(slots=True)
class Dispatcher:
    """Shared by all requests of this gateway."""

    fleet: Fleet
    hold_queues: HoldQueues
    on_demand: Callable[[RegionKey], None]

    async def find(self, name: str, route_request: RouteRequest, ticket: Ticket, context: RequestContext) -> Target:
        """A pod with room, now or after a wake; raises RequestRefusedError when there will be none in time."""
        while True:
            model = self._model(name)
            route_request = with_rules(route_request, model)
            region_views = self.fleet.views(model)
            decision = decide(region_views, route_request)
            context.decided(route_request, region_views, decision)
            self._wake(model, decision)
            if decision.action == "refuse" or decision.region is None:
                raise RequestRefusedError(refused_by_decision(decision))
            key = RegionKey(model.namespace, model.name, decision.region)
            self._arrived(key, context)
            in_turn = context.held_seconds > 0 or self.hold_queues.held(key) == 0  # nobody overtakes those who wait
            if decision.action == "serve" and in_turn and (pod := self.fleet.pick_pod(key)):
                context.keep_held_route()
                return Target(key, pod, model)
            await self._hold(key, model, ticket, context)

    def _arrived(self, key: RegionKey, context: RequestContext) -> None:
        """Count the request once, where it was first sent or held."""
        if context.key is None:
            self.fleet.traffic(key).arrived(time.monotonic())
        context.key = key

    def _model(self, name: str) -> ModelEntry:
        registry = self.fleet.registry()
        model = registry.resolve(name)
        if model is None:
            raise RequestRefusedError(unknown_model(name, registry.names()))
        return model

    def wake(self, key: RegionKey) -> None:
        """Ask for a region to be awake."""
        if self.fleet.wake_asked(key):
            WAKES.labels(key.namespace, key.name, key.region).inc()
        self.on_demand(key)

    def _wake(self, model: ModelEntry, decision: Decision) -> None:
        for region in decision.wake:
            self.wake(RegionKey(model.namespace, model.name, region))

    async def _hold(self, key: RegionKey, model: ModelEntry, ticket: Ticket, context: RequestContext) -> None:
        began_seconds = time.monotonic()
        left = await self.hold_queues.wait(key, ticket, model.gateway.max_held_requests)
        held_seconds = time.monotonic() - began_seconds
        context.held_seconds += held_seconds
        context.held_route = context.route
        HELD.labels(key.namespace, key.name, key.region).observe(held_seconds)
        if left is ReleaseReason.EXPIRED:
            raise RequestRefusedError(_time_is_up(key.region, context, held_seconds))
        if left is ReleaseReason.DRAINED:
            raise RequestRefusedError(gateway_ending())

    def region_changed(self, key: RegionKey) -> None:
        """Let waiting requests of this model decide again, when there is a reason to."""
        for waiting in [*self.hold_queues.queues]:
            if (waiting.namespace, waiting.name) == (key.namespace, key.name):
                self.hold_queues.release(waiting, self._releasable(waiting))

    def _releasable(self, key: RegionKey) -> int:
        """How many may go: all when there is nothing to wait for, else as many as there is room for."""
        model = self.fleet.registry().resolve(f"{key.namespace}/{key.name}")
        entry = model.region(key.region) if model else None
        if model is None or entry is None or model.suspended:
            return self.hold_queues.held(key)
        home = self.fleet.view(model, entry)
        if home.suspended or (home.failure and not home.awake):
            return self.hold_queues.held(key)
        views = self.fleet.views(model) if model.gateway.spill else (home,)
        return sum(view.free_requests for view in views if view.serves_now)


def _time_is_up(region: str, context: RequestContext, held_seconds: float) -> Refusal:
    """What the request waited for has not come."""
    estimated = context.decision.wake_estimate_seconds if context.decision else None
    if context.route == "hold-load" or estimated is None:
        return still_full(region, context.held_seconds)
    return still_waking(region, context.held_seconds, max(1.0, estimated - held_seconds))


def with_rules(route_request: RouteRequest, model: ModelEntry) -> RouteRequest:
    """Add what the model's resource says about holding and moving; it may change while a request waits."""
    return replace(
        route_request,
        spill=model.gateway.spill,
        max_held_requests=model.gateway.max_held_requests,
        model_suspended=model.suspended,
    )
