"""One region: its Deployments as ReplicaSets keep them, its servers, its demand Lease, and what is published of them.

Knows what Kubernetes and the inference server do by themselves. Does not know decisions: the operator's are applied
here (world/operator.py), the gateways' requests arrive here (world/gateway/gateway.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.names import POOL_ON_DEMAND

from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.machines import MachinePool
from voxfleet_simulation.world.publication import Publication
from voxfleet_simulation.world.requests import Request
from voxfleet_simulation.world.servers import Server

GRACE_SECONDS = 30.0  # of a pod's end, beyond its time to drain


@dataclass(slots=True)
class Callbacks:
    """What a region calls when something happens in it."""

    on_pods: Callable[[int], None]  # index of the region
    on_begin: Callable[[Request], None]
    on_end: Callable[[Request], None]
    on_cut: Callable[[Request], None]


@dataclass(slots=True)
class SimulatedRegion:
    """The true state of one region."""

    index: int
    name: str
    loop: EventLoop
    lease: Lease
    rows: int
    most_queued: int
    drain_seconds: float
    callbacks: Callbacks
    own: Publication  # what the region's gateway has received
    peers: Publication  # what the other regions' gateways have
    machines: MachinePool = field(init=False)
    workloads: dict[str, WorkloadState] = field(default_factory=dict)  # by pool
    servers: dict[str, Server] = field(default_factory=dict)  # by name, until their processes have ended
    created: int = 0
    service_seconds: float | None = None  # as the region's gateway has measured it
    load_changes: int = 0  # requests that have come, begun or ended
    lifetimes: dict[str, tuple[float, float | None]] = field(default_factory=dict)  # ready, stopped admitting

    @property
    def is_lost(self) -> bool:
        """Whether the whole region is away."""
        return self.machines.is_lost

    @property
    def open_requests(self) -> int:
        """Requests at the region's servers."""
        return sum(server.open_requests for server in self.servers.values())

    @property
    def last_finished_at(self) -> float | None:
        """When the last request ended here."""
        ends = (each.last_finished_at for each in self.servers.values())
        return max((at for at in ends if at is not None), default=None)

    def publish_due(self) -> None:
        """Take the polls that were due; called before anything about the servers changes."""
        if self.machines.is_lost:
            return
        now = self.loop.now
        self.own.take_due(now, self.servers.values())
        self.peers.take_due(now, self.servers.values())

    # Requests

    def arrive(self, request: Request, server: Server) -> bool:
        """Take a request at a server; False when the server refuses it or is gone."""
        if not server.is_admitting or server.is_full:
            return False
        self.publish_due()
        self.load_changes += 1
        server.report = None
        if len(server.running) < server.rows:
            self._begin(request, server)
        else:
            server.queue.append(request)
        return True

    def _begin(self, request: Request, server: Server) -> None:
        server.running[request.number] = request
        request.started_at = self.loop.now
        self.callbacks.on_begin(request)
        self.loop.after(request.service_seconds, self._end, request, server)

    def _end(self, request: Request, server: Server) -> None:
        if request.number not in server.running:
            return  # its server has died
        self.publish_due()
        self.load_changes += 1
        server.report = None
        del server.running[request.number]
        server.last_finished_at = self.loop.now
        if server.queue:
            self._begin(server.queue.popleft(), server)
        self.callbacks.on_end(request)
        if server.is_deleting and not server.open_requests:
            self._remove(server)

    # Deployments

    def scale(self, workloads: dict[str, WorkloadState]) -> None:
        """Apply Deployments: create and delete pods until each pool has its replicas."""
        self.workloads = workloads
        for pool in workloads:
            self._settle(pool)

    def _settle(self, pool: str) -> None:
        """Do what a ReplicaSet does."""
        replicas = self.workloads[pool].replicas if pool in self.workloads else 0
        active = [each for each in self.servers.values() if each.pool == pool and not each.is_deleting]
        for _ in range(replicas - len(active)):
            self._create(pool)
        # The order in which a ReplicaSet deletes: without a node, not ready, lowest cost, newest.
        active.sort(
            key=lambda each: (each.scheduled_at is not None, each.is_admitting, each.deletion_cost, -each.created_at)
        )
        for server in active[: max(len(active) - replicas, 0)]:
            self._delete(server)

    def _create(self, pool: str) -> Server:
        self.created += 1
        server = Server(self.created, self.name, self.loop.now, self.rows, self.most_queued, pool)
        self.servers[server.name] = server
        self.machines.place(server)
        return server

    def begin_ready(self, replicas: int, pool: str = POOL_ON_DEMAND) -> None:
        """Begin the run with servers that are ready."""
        self.workloads = {pool: WorkloadState(replicas, woken_at=self.loop.now, pool=pool)}
        for _ in range(replicas):
            self.created += 1
            server = Server(self.created, self.name, self.loop.now, self.rows, self.most_queued, pool)
            self.servers[server.name] = server
            self.machines.place_ready(server)
            self.lifetimes[server.name] = self.loop.now, None
        self.pods_changed()

    def _delete(self, server: Server) -> None:
        self.publish_due()
        server.is_deleting = True
        self.stopped(server)
        if not server.open_requests:
            self._remove(server)
        else:
            self.loop.after(self.drain_seconds + GRACE_SECONDS, self._kill, server)

    def _kill(self, server: Server) -> None:
        if not server.is_gone:
            self.die(server)

    def _remove(self, server: Server) -> None:
        server.is_gone = True
        self.servers.pop(server.name, None)
        self.machines.release(server)
        self.pods_changed()

    def started(self, server: Server) -> None:
        """A server is ready."""
        self.publish_due()
        server.ready_at = self.loop.now
        server.changed()
        self.lifetimes[server.name] = self.loop.now, None
        self.pods_changed()

    def stopped(self, server: Server) -> None:
        """A server admits no more requests, for now or for good."""
        server.changed()
        ready_at, stopped_at = self.lifetimes.get(server.name, (None, None))
        if ready_at is not None and stopped_at is None:
            self.lifetimes[server.name] = ready_at, self.loop.now
        self.pods_changed()

    def drain(self, server: Server, *, is_on: bool) -> None:
        """Begin or end a server's drain."""
        self.publish_due()
        server.is_draining = is_on
        if is_on:
            self.stopped(server)
            return
        server.changed()
        if server.name in self.lifetimes:
            self.lifetimes[server.name] = self.lifetimes[server.name][0], None
        self.pods_changed()

    def die(self, server: Server) -> None:
        """A server ends with its machine: what it has open is cut."""
        self.publish_due()
        self.servers.pop(server.name, None)
        self.stopped(server)
        server.is_gone = True
        open_requests = [*server.running.values(), *server.queue]
        server.running.clear()
        server.queue.clear()
        self.machines.release(server)
        for request in open_requests:
            self.callbacks.on_cut(request)
        if not server.is_deleting:
            self._settle(server.pool)
        self.pods_changed()

    def pods_changed(self) -> None:
        """Publish a pod that came, went or changed, and call back."""
        if not self.machines.is_lost:
            self.own.take(self.servers.values(), self.loop.now)
        self.callbacks.on_pods(self.index)
