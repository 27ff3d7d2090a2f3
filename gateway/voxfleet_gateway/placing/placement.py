"""Finds a pod for a request: decides, wakes, holds, and decides again until there is one or the answer is no.

Knows: the loop around the pure decision. Does not know: bodies, headers, pods' answers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from voxfleet_gateway.decisions.hold_queue import Left, Ticket
from voxfleet_gateway.decisions.routing import Decision, RouteRequest, decide
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.placing.hold_room import HoldRoom
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_report import PodRecord
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.answers import (
    gateway_ending,
    refused_by_decision,
    still_full,
    still_waking,
    unknown_model,
)
from voxfleet_gateway.server.exchange import Exchange
from voxfleet_gateway.telemetry import HELD, WAKES


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    key: RegionKey
    pod: PodRecord
    model: ModelEntry


@dataclass(slots=True)
class Placement:
    """Shared by all requests of this gateway."""

    fleet: Fleet
    hold_room: HoldRoom
    on_demand: Callable[[RegionKey], None]

    async def find(self, name: str, asked: RouteRequest, ticket: Ticket, exchange: Exchange) -> Place:
        """A pod with room, now or after a wake; raises RequestRefusedError when there will be none in time."""
        while True:
            model = self._model(name)
            asked = with_rules(asked, model)
            seen = self.fleet.views(model)
            decision = decide(seen, asked)
            exchange.decided(asked, seen, decision)
            self._wake(model, decision)
            if decision.action == "refuse" or decision.region is None:
                raise RequestRefusedError(refused_by_decision(decision))
            key = RegionKey(model.namespace, model.name, decision.region)
            self._arrived(key, exchange)
            in_turn = exchange.held_seconds > 0 or self.hold_room.held(key) == 0  # nobody overtakes those who wait
            if decision.action == "serve" and in_turn and (pod := self.fleet.pick_pod(key)):
                exchange.tell_what_was_waited_for()
                return Place(key, pod, model)
            await self._hold(key, model, ticket, exchange)

    def _arrived(self, key: RegionKey, exchange: Exchange) -> None:
        """Count the request once, where it was first sent or held."""
        if exchange.key is None:
            self.fleet.traffic(key).arrived(time.monotonic())
        exchange.key = key

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

    async def _hold(self, key: RegionKey, model: ModelEntry, ticket: Ticket, exchange: Exchange) -> None:
        began_seconds = time.monotonic()
        left = await self.hold_room.wait(key, ticket, model.gateway.max_held_requests)
        held_seconds = time.monotonic() - began_seconds
        exchange.held_seconds += held_seconds
        exchange.waited_as = exchange.route
        HELD.labels(key.namespace, key.name, key.region).observe(held_seconds)
        if left is Left.EXPIRED:
            raise RequestRefusedError(_time_is_up(key.region, exchange, held_seconds))
        if left is Left.DRAINED:
            raise RequestRefusedError(gateway_ending())

    def region_changed(self, key: RegionKey) -> None:
        """Let waiting requests of this model decide again, when there is a reason to."""
        for waiting in [*self.hold_room.queues]:
            if (waiting.namespace, waiting.name) == (key.namespace, key.name):
                self.hold_room.release(waiting, self._releasable(waiting))

    def _releasable(self, key: RegionKey) -> int:
        """How many may go: all when there is nothing to wait for, else as many as there is room for."""
        model = self.fleet.registry().resolve(f"{key.namespace}/{key.name}")
        entry = model.region(key.region) if model else None
        if model is None or entry is None or model.suspended:
            return self.hold_room.held(key)
        home = self.fleet.view(model, entry)
        if home.suspended or (home.failure and not home.awake):
            return self.hold_room.held(key)
        views = self.fleet.views(model) if model.gateway.spill else (home,)
        return sum(view.room for view in views if view.serves_now)


def _time_is_up(region: str, exchange: Exchange, held_seconds: float) -> Refusal:
    """What the request waited for has not come."""
    estimated = exchange.decision.wake_estimate_seconds if exchange.decision else None
    if exchange.route == "hold-load" or estimated is None:
        return still_full(region, exchange.held_seconds)
    return still_waking(region, exchange.held_seconds, max(1.0, estimated - held_seconds))


def with_rules(asked: RouteRequest, model: ModelEntry) -> RouteRequest:
    """Add what the model's resource says about holding and moving; it may change while a request waits."""
    return replace(
        asked,
        spill=model.gateway.spill,
        max_held_requests=model.gateway.max_held_requests,
        model_suspended=model.suspended,
    )
