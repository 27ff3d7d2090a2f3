"""What gateways have received of a region's servers: the state at the newest poll, not the present one.

Knows that a poll shows the state at its own instant: before a server changes, the polls that were due are taken. So an
idle region costs nothing, however often it is polled. Does not know what a gateway makes of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint, ReceivedReport

from voxfleet_simulation.world.servers import Server


@dataclass(slots=True)
class Publication:
    """The endpoints and load reports of one region at one poll; `version` counts the polls that were taken."""

    interval_seconds: float
    tick: int = -1
    version: int = 0
    taken_at: float = 0.0
    endpoints: tuple[PodEndpoint, ...] = ()
    reports: dict[PodAddress, ReceivedReport] = field(default_factory=dict)

    def take_due(self, now: float, servers: Iterable[Server]) -> None:
        """Take the newest poll that was due before now, if it was not; the servers have not changed since."""
        tick = int(now / self.interval_seconds)
        if tick > self.tick:
            self.tick = tick
            self.take(servers, tick * self.interval_seconds)

    def take(self, servers: Iterable[Server], at: float) -> None:
        """Take a poll now: a pod that has come or gone, which a watch shows at once."""
        known = [server for server in servers if server.ready_at is not None and not server.is_gone]
        self.version += 1
        self.taken_at = at
        self.endpoints = tuple(server.endpoint() for server in known)
        self.reports = {server.address: ReceivedReport(server.load_report(), {}, at) for server in known}
