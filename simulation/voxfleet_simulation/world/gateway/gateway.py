"""The gateway around its own decisions: decide, wake, hold, send, decide again. The shell is simulated.

Knows the way of a request through one region's gateway, as the dispatcher has it. Does not know what is decided
(voxfleet_gateway.decisions), nor what servers do (world/region.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from voxfleet_gateway.decisions.pods.balancing import pick_pod
from voxfleet_gateway.decisions.pods.pod_state import PodState
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.regions import ModelEntry

from voxfleet_simulation.scenario.round_trips import RoundTrips
from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.gateway.holding import Holding
from voxfleet_simulation.world.gateway.knowledge import Knowledge
from voxfleet_simulation.world.gateway.policies import Policy
from voxfleet_simulation.world.gateway.route_requests import RouteRequests
from voxfleet_simulation.world.region import SimulatedRegion
from voxfleet_simulation.world.requests import Outcome, Records, Request

MOST_ATTEMPTS = 5  # of one request, as long as it has had no byte


@dataclass(slots=True)
class SimulatedGateway:
    """The gateway of one region."""

    index: int
    name: str
    loop: EventLoop
    knowledge: Knowledge
    holding: Holding
    policy: Policy
    route_requests: RouteRequests
    round_trips: RoundTrips
    records: Records
    random: Random
    on_demand: Callable[[int], None]  # a region is wanted, or what is held or open there has changed
    on_hold: Callable[[], None]
    hold_seconds: float
    model: ModelEntry | None = None
    pods: dict[int, PodState] = field(default_factory=dict)  # of open requests, by number
    relayed: dict[int, PodState] = field(
        default_factory=dict
    )  # of requests that other regions' gateways have sent here
    peers: list["SimulatedGateway"] = field(default_factory=list)  # the gateways of all regions

    @property
    def regions(self) -> list[SimulatedRegion]:
        """The regions, in the order of the spec."""
        return self.knowledge.regions

    def set_model(self, model: ModelEntry) -> None:
        """Read the registry."""
        self.model = model
        self.knowledge.set_model(model)
        self.route_requests.set_rules(model.gateway)

    def receive(self, request: Request) -> None:
        """Decide about a request, and do what was decided."""
        decision = self.policy(self.knowledge.standings(), self.route_requests.of(request))
        if not request.route or request.route.startswith("hold"):
            request.route = request.route or decision.route
        request.is_wake |= decision.route in {"hold-wake", "spill-wake"}
        for name in decision.wake:
            self._wake(self._index_of(name))
        if decision.action == "refuse" or decision.region is None:
            self._end(request, Outcome.REFUSED)
            return
        index = self._index_of(decision.region)
        if decision.action == "serve" and self.holding.is_in_turn(request, index):
            pod = pick_pod(self.knowledge.states[index].pods.values(), self.loop.now, self.random.random())
            if pod is not None:
                self._send(request, index, pod)
                return
        self._hold(request, index)

    def _index_of(self, name: str) -> int:
        return next(region.index for region in self.regions if region.name == name)

    def _wake(self, index: int) -> None:
        self.knowledge.request_wake(index)
        self.on_demand(index)

    # Holding

    def _hold(self, request: Request, index: int) -> None:
        if request.held_since < 0:
            request.held_since = self.loop.now
            self.loop.after(self.hold_seconds, self._expire, request)
        if not self.holding.hold(request, index, self._usable(request), self.loop.now):
            self._end(request, Outcome.REFUSED)
            return
        self.knowledge.changed(index)
        self.on_hold()
        self.on_demand(index)

    def _usable(self, request: Request) -> frozenset[str]:
        country = self.route_requests.clients[request.country].name
        entries = self.model.regions if self.model else ()
        return frozenset(each.name for each in entries if not each.allowed_clients or country in each.allowed_clients)

    def _expire(self, request: Request) -> None:
        if request.held_in >= 0 and not request.is_ended:
            self._end(request, Outcome.EXPIRED)

    def region_changed(self) -> None:
        """Let held requests decide again, as many as can be served or must be refused now."""
        if not self.holding.queues:
            return
        views = [standing.view for standing in self.knowledge.standings()]
        for index in [*self.holding.queues]:
            for request in self.holding.release(index, views, self.loop.now):
                if not request.is_ended:
                    self.receive(request)

    # Sending

    def _send(self, request: Request, index: int, pod: PodState) -> None:
        self._leave(request)
        was_idle = self.knowledge.states[index].traffic.open_requests == 0
        request.region = index
        request.attempts += 1
        self.pods[request.number] = pod
        request.has_waited = not pod.free_rows
        self.knowledge.sent(index, pod)
        if was_idle:
            self.on_demand(index)
        half = self.round_trips.between_regions[self.index][index] / 2
        self.loop.after(half, self._arrive, request, index, pod)

    def network_seconds(self, request: Request) -> float:
        """Return the round trip from the client through this gateway to the region of the request."""
        between = self.round_trips.between_regions[self.index][request.region]
        return self.round_trips.to_regions[request.country][self.index] + between

    def _arrive(self, request: Request, index: int, pod: PodState) -> None:
        region, request.arrived_at = self.regions[index], self.loop.now
        peer = self.peers[index]
        chosen = pod if peer is self else peer.pick()
        server = region.servers.get(chosen.endpoint.name) if chosen is not None else None
        if chosen is not None and server is not None and not (server.is_full or not server.is_admitting):
            if peer is not self:
                peer.relay(request, chosen)
            region.arrive(request, server)
            return
        is_gone = server is None or server.is_gone
        self._failed(request, index, pod, UpstreamFailure.CONNECT if is_gone else UpstreamFailure.FULL)

    def pick(self) -> PodState | None:
        """Return the pod of this region for a request of another region's gateway."""
        self.knowledge.standing(self.index)
        return pick_pod(self.knowledge.states[self.index].pods.values(), self.loop.now, self.random.random())

    def relay(self, request: Request, pod: PodState) -> None:
        """Count a request that comes from another region's gateway: it goes through this one to the pod."""
        self.relayed[request.number] = pod
        request.has_waited = not pod.free_rows
        self.knowledge.sent(self.index, pod)

    def relay_ended(self, request: Request) -> None:
        """Count a relayed request out."""
        own = self.relayed.pop(request.number, None)
        if own is None:
            return
        if request.started_at < 0:
            self.knowledge.answered(self.index, own)
        self.knowledge.ended(self.index, own)
        # A held request of this region may have its row.
        self.region_changed()

    def _failed(self, request: Request, index: int, pod: PodState, failure: UpstreamFailure) -> None:
        """Record a failed attempt, and decide again: the request has had no byte."""
        self._count_out(request, index)
        self.knowledge.record_failure(index, pod, failure)
        if request.attempts >= MOST_ATTEMPTS:
            self._end(request, Outcome.REFUSED)
        else:
            self.receive(request)

    def begun(self, request: Request) -> None:
        """The first byte of a response has been sent."""
        self.knowledge.answered(request.region, self.pods[request.number])
        peer = self.peers[request.region]
        if (own := peer.relayed.get(request.number)) is not None:
            peer.knowledge.answered(peer.index, own)

    def ended(self, request: Request) -> None:
        """The response of a request is complete."""
        index = request.region
        self._count_out(request, index)
        traffic = self.knowledge.states[index].traffic
        traffic.last_finished = datetime.fromtimestamp(self.loop.now, UTC)
        self.peers[index].measured(request, traffic.last_finished)
        delay = request.started_at - request.at + self.network_seconds(request) / 2
        self.records.end(request, Outcome.SERVED, delay)
        if traffic.open_requests == 0:
            self.on_demand(index)
        self.region_changed()

    def measured(self, request: Request, at: datetime) -> None:
        """Record the service time of a request that this region's pods have served: its gateway measures it."""
        traffic = self.knowledge.states[self.index].traffic
        traffic.record_end(self.loop.now - request.arrived_at, at, has_waited=request.has_waited)
        self.regions[self.index].service_seconds = traffic.service_seconds

    def cut(self, request: Request) -> None:
        """The server of a request has died: what has had no byte is sent again."""
        index, pod = request.region, self.pods[request.number]
        if request.started_at >= 0:
            self._count_out(request, index)
            self.knowledge.record_failure(index, pod, UpstreamFailure.RESET)
            self._end(request, Outcome.CUT)
        else:
            self._failed(request, index, pod, UpstreamFailure.RESET)

    def _count_out(self, request: Request, index: int) -> None:
        pod = self.pods.pop(request.number)
        self.peers[index].relay_ended(request)
        if request.started_at < 0:
            self.knowledge.answered(index, pod)
        self.knowledge.ended(index, pod)

    def _leave(self, request: Request) -> None:
        if request.held_since >= 0:
            request.held_seconds = self.loop.now - request.held_since
        index = request.held_in
        if index >= 0:
            self.holding.leave(request)
            self.knowledge.changed(index)
            self.on_demand(index)

    def _end(self, request: Request, outcome: Outcome) -> None:
        self._leave(request)
        self.records.end(request, outcome)

    def lose(self) -> None:
        """The gateway is gone with its region: what it holds ends."""
        for request in self.holding.all():
            self._end(request, Outcome.UNREACHABLE)
