"""The machines of one region: nodes with one GPU that come, are kept for a while, and are reclaimed; and their bill.

Knows bounds, boot times, droughts, reclaims. Does not know why a server is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from voxfleet_operator.decisions.capacity.leaving import SIGNS, node_leaving
from voxfleet_operator.decisions.capacity.scale_up import KARPENTER, ScaleUpState
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT

from voxfleet_simulation.scenario.fields import Duration, Machines
from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.servers import Server

RETRY_SECONDS = 10.0  # between two attempts of the autoscaler at a node that is not to be had
DROUGHT_RECLAIM_SECONDS = 600.0  # within which a drought takes the nodes that run
RECLAIM_SIGN = next(sign for sign in SIGNS if sign.is_urgent)
P95_Z = 1.6448536269514722  # of the normal distribution


def draw_seconds(duration: Duration, rng: np.random.Generator) -> float:
    """Draw a lognormal duration."""
    sigma = np.log(duration.p95 / duration.median) / P95_Z
    return float(duration.median * np.exp(sigma * rng.standard_normal()))


@dataclass(slots=True, eq=False)
class Node:
    """One machine; `ended_at` is None while it is billed."""

    name: str
    pool: str
    launched_at: float
    server: Server | None = None
    idle_since: float | None = None
    ended_at: float | None = None


@dataclass(slots=True)
class MachinePool:
    """All machines of a region, on demand and spot."""

    region: str
    settings: Machines
    loop: EventLoop
    rng: np.random.Generator
    on_started: Callable[[Server], None]  # its node runs and it is ready
    on_change: Callable[[Server], None]  # something about its pod has changed
    on_dead: Callable[[Server], None]  # its machine is gone
    droughts: tuple[tuple[float, float], ...] = ()  # (begin, end) of this region
    is_lost: bool = False
    nodes: list[Node] = field(default_factory=list)
    bill: list[tuple[str, float, float]] = field(default_factory=list)  # pool, begin, end
    waiting: list[Server] = field(default_factory=list)
    reclaims: int = 0

    def place(self, server: Server) -> None:
        """Find a node for a pod: one that is kept, a new one, or none until there is one."""
        kept = next((each for each in self.nodes if each.pool == server.pool and each.server is None), None)
        if kept is not None:
            self._assign(kept, server, is_booted=True)
        elif self._may_launch(server.pool):
            self._launch(server)
        else:
            self._wait(server)

    def place_ready(self, server: Server) -> None:
        """Give a server a node on which it is ready already: the state in which a run begins."""
        node = Node(f"{self.region}-node-{len(self.bill) + len(self.nodes)}", server.pool, self.loop.now, server)
        self.nodes.append(node)
        server.node, server.scheduled_at, server.ready_at = node, self.loop.now, self.loop.now
        self._plan_reclaim(node)

    def release(self, server: Server) -> None:
        """Take a server off its node, which is kept for a while."""
        if server in self.waiting:
            self.waiting.remove(server)
        node = server.node
        if node is None or node.ended_at is not None:
            return
        node.server, node.idle_since = None, self.loop.now
        self.loop.after(self.settings.keep_seconds, self._remove_if_idle, node, self.loop.now)

    def lose(self) -> None:
        """End every machine at once, and start none until `recover`."""
        self.is_lost = True
        for node in [*self.nodes]:
            self._end(node)

    def recover(self) -> None:
        """Start machines again."""
        self.is_lost = False

    def is_dry(self, now: float) -> bool:
        """Whether no spot machine is to be had."""
        return any(begin <= now < end for begin, end in self.droughts)

    def begin_drought(self) -> None:
        """Reclaim every spot node within the first minutes."""
        for node in [each for each in self.nodes if each.pool == POOL_SPOT]:
            self.loop.after(float(self.rng.random()) * DROUGHT_RECLAIM_SECONDS, self._reclaim, node)

    def close(self, now: float) -> None:
        """End the bill of every node."""
        for node in [*self.nodes]:
            self._finish(node, now)

    def _may_launch(self, pool: str) -> bool:
        if self.is_lost or (pool == POOL_SPOT and self.is_dry(self.loop.now)):
            return False
        most = self.settings.most_on_demand if pool == POOL_ON_DEMAND else self.settings.most_spot
        return sum(node.pool == pool for node in self.nodes) < most

    def _launch(self, server: Server) -> None:
        now = self.loop.now
        node = Node(f"{self.region}-node-{len(self.bill) + len(self.nodes)}", server.pool, now, server)
        self.nodes.append(node)
        server.scale_up = ScaleUpState(is_coming=True, since=now, autoscaler=KARPENTER[0])
        self._assign(node, server, is_booted=False)
        self._plan_reclaim(node)

    def _plan_reclaim(self, node: Node) -> None:
        if node.pool == POOL_SPOT and self.settings.reclaims_per_node_hour > 0:
            seconds = float(self.rng.exponential(3600 / self.settings.reclaims_per_node_hour))
            self.loop.after(seconds, self._reclaim, node)

    def _assign(self, node: Node, server: Server, *, is_booted: bool) -> None:
        node.server, node.idle_since, server.node = server, None, node
        server.changed()
        boot_seconds = 1.0 if is_booted else draw_seconds(self.settings.node, self.rng)
        self.loop.after(boot_seconds, self._booted, node, server)

    def _wait(self, server: Server) -> None:
        if server.scale_up is None or server.scale_up.is_coming:
            server.scale_up = ScaleUpState(is_coming=False, since=self.loop.now, autoscaler=KARPENTER[0])
            server.changed()
            self.on_change(server)
        self.waiting.append(server)
        self.loop.after(RETRY_SECONDS, self._retry, server)

    def _retry(self, server: Server) -> None:
        if server in self.waiting:
            self.waiting.remove(server)
            self.place(server)

    def _booted(self, node: Node, server: Server) -> None:
        if node.ended_at is not None or node.server is not server:
            return
        server.scheduled_at = self.loop.now
        server.changed()
        self.on_change(server)
        server.start_seconds = draw_seconds(self.settings.start, self.rng)
        self.loop.after(server.start_seconds, self._started, node, server)

    def _started(self, node: Node, server: Server) -> None:
        if node.ended_at is None and node.server is server and not server.is_deleting:
            self.on_started(server)

    def _remove_if_idle(self, node: Node, idle_since: float) -> None:
        if node.server is None and node.idle_since == idle_since and node.ended_at is None:
            self._finish(node, self.loop.now)

    def _reclaim(self, node: Node) -> None:
        if node.ended_at is not None:
            return
        self.reclaims += 1
        if node.server is None:
            self._finish(node, self.loop.now)
            return
        node.server.leaving = node_leaving(node.name, RECLAIM_SIGN, self.loop.now)
        node.server.changed()
        self.on_change(node.server)
        self.loop.after(self.settings.notice_seconds, self._end, node)

    def _end(self, node: Node) -> None:
        if node.ended_at is not None:
            return
        server = node.server
        self._finish(node, self.loop.now)
        if server is not None:
            self.on_dead(server)

    def _finish(self, node: Node, now: float) -> None:
        node.ended_at = now
        self.nodes.remove(node)
        self.bill.append((node.pool, node.launched_at, now))
