"""What one gateway knows of every region, and the standings that it decides on. The same values as in the product.

Knows how polls, own requests and Leases change a RegionState. Does not know requests' ways (world/gateway/gateway.py).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voxfleet_gateway.decisions.peers.remote_state import RemoteReport, RemoteState
from voxfleet_gateway.decisions.peers.remote_view import remote_region_view
from voxfleet_gateway.decisions.pods.balancing import is_failing, servable
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint, PodState
from voxfleet_gateway.decisions.region_standing import RegionStanding, stand
from voxfleet_gateway.decisions.snapshot import RegionState, RegionView, region_view
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.regions import ModelEntry

from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.publication import Publication
from voxfleet_simulation.world.region import SimulatedRegion

VIEW_SECONDS = 0.02  # for which a standing is kept; the gateway's fleet has the same


@dataclass(slots=True)
class Knowledge:
    """The regions as one gateway knows them, in the order of the spec."""

    own: int  # index of the gateway's region
    regions: list[SimulatedRegion]
    loop: EventLoop
    counts: Callable[[int], tuple[int, int]]  # held for a region, and free places of the model
    hops: tuple[float, ...]  # seconds between the gateways and back
    states: list[RegionState] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)  # of the polls that were read
    kept: list[tuple[float, RegionStanding] | None] = field(default_factory=list)
    on_way: list[deque[float]] = field(default_factory=list)  # when own requests arrive that no report contains yet

    def set_model(self, model: ModelEntry) -> None:
        """Read the registry."""
        for index, (key, entry) in enumerate(zip(model.keys, model.regions, strict=True)):
            if index == len(self.states):
                self.states.append(RegionState(key, model, entry))
                self.versions.append(0)
                self.kept.append(None)
                self.on_way.append(deque())
                if index != self.own:
                    remote = RemoteState(self.regions[index].peers.interval_seconds, hop_seconds=self.hops[index])
                    self.states[index].remote = remote
            self.states[index].model, self.states[index].entry = model, entry
            self.kept[index] = None

    def changed(self, index: int) -> None:
        """Forget what was kept of a region."""
        self.kept[index] = None

    def standings(self) -> tuple[RegionStanding, ...]:
        """Return the standings of all regions."""
        return tuple([self.standing(index) for index in range(len(self.states))])

    def standing(self, index: int) -> RegionStanding:
        """Return the standing of a region, by the newest poll and the requests that this gateway has sent since."""
        self._read(index)
        now, counts = self.loop.now, self.counts(index)
        kept = self.kept[index]
        if kept is not None and now < kept[0] and (kept[1].view.held, kept[1].view.free_places) == counts:
            return kept[1]
        standing = stand(self._view(index, counts, now))
        self.kept[index] = now + VIEW_SECONDS, standing
        return standing

    def _view(self, index: int, counts: tuple[int, int], now: float) -> RegionView:
        state, lease = self.states[index], self.regions[index].lease
        if state.remote is None:
            return region_view(state, lease, *counts, now)
        if state.remote.report.is_falling_asleep != lease.is_falling_asleep:
            state.remote.report = replace(state.remote.report, is_falling_asleep=lease.is_falling_asleep)
        return remote_region_view(state, state.remote, *counts, now)

    def _read(self, index: int) -> None:
        """Read the region's newest poll, if it was not read yet."""
        region = self.regions[index]
        publication = region.own if index == self.own else region.peers
        if not region.is_lost:
            publication.take_due(self.loop.now, region.servers.values())
        if self.versions[index] == publication.version:
            return
        self.versions[index] = publication.version
        state, now = self.states[index], self.loop.now
        limit = state.model.serving.open_limit(1)
        pods: dict[PodAddress, PodState] = {}
        for endpoint in publication.endpoints:
            pods[endpoint.address] = pod = _updated(state.pods.get(endpoint.address), endpoint, limit)
            pod.record_report(publication.reports[endpoint.address])
        state.pods = pods
        if state.remote is not None:
            self._report(index, state, state.remote, publication)
        self.kept[index] = None
        if state.traffic.waking_since_seconds is not None and servable(pods.values(), now):
            state.traffic.end_wake(now)

    def _report(self, index: int, state: RegionState, remote: RemoteState, publication: Publication) -> None:
        """Take the report of another region's gateway as of the poll; `RemoteReport` says what is in it."""
        at, way = publication.taken_at, self.on_way[index]
        while way and way[0] <= at:
            way.popleft()
        ready = [each.report for each in publication.reports.values() if each.report.state == "ready"]
        limit = state.model.serving.open_limit(1)
        report = RemoteReport(
            ready_pods=len(ready),
            rows=sum(each.running_sequences + each.free_rows for each in ready),
            running=sum(each.running_sequences for each in ready),
            waiting=sum(each.waiting_sequences for each in ready),
            free_requests=sum(max(0, limit - each.open_requests) for each in ready),
            service_seconds=self.regions[index].service_seconds,
            measured_wake_seconds=state.traffic.measured_wake_seconds,
            wake_elapsed_seconds=state.traffic.wake_elapsed(at),
            is_falling_asleep=self.regions[index].lease.is_falling_asleep,
        )
        remote.record_report(report, at, remote.sent - len(way), self.hops[index])

    def request_wake(self, index: int) -> bool:
        """Record that a region is wanted; return whether this began a wake."""
        traffic = self.states[index].traffic
        would_wake = not self.states[index].pods and traffic.waking_since_seconds is None
        traffic.is_wake_requested = True
        self.kept[index] = None
        return would_wake and traffic.start_wake(self.loop.now)

    def sent(self, index: int, pod: PodState) -> None:
        """Count a request that is sent."""
        self.states[index].traffic.open_requests += 1
        pod.unanswered += 1
        pod.record_sent()
        remote = self.states[index].remote
        if remote is not None:
            remote.sent += 1
            remote.open_requests += 1
            remote.unanswered += 1
            self.on_way[index].append(self.loop.now + self.hops[index] / 2)
        self.kept[index] = None

    def answered(self, index: int, pod: PodState) -> None:
        """Count a request that has its first byte, or will have none."""
        pod.unanswered -= 1
        remote = self.states[index].remote
        if remote is not None:
            remote.unanswered -= 1

    def ended(self, index: int, pod: PodState) -> None:
        """Count a request out, however it ended."""
        self._read(index)  # a poll that was due before this end contains the request: it is no end since that report
        self.states[index].traffic.open_requests -= 1
        pod.record_ended()
        remote = self.states[index].remote
        if remote is not None:
            remote.record_ended()
        self.kept[index] = None

    def record_failure(self, index: int, pod: PodState, failure: UpstreamFailure) -> None:
        """Record a failed attempt."""
        state, now = self.states[index], self.loop.now
        pod.record_failure(failure, now)
        if state.remote is not None:
            state.remote.record_failure(failure, now)
        if failure is UpstreamFailure.FULL:
            state.circuit.record_answer()
        else:
            failing = state.remote is not None or is_failing(state.pods.values(), now)
            state.circuit.record_failure(now, is_every_pod_failing=failing)
        self.kept[index] = None


def _updated(old: PodState | None, endpoint: PodEndpoint, limit: int) -> PodState:
    pod = old or PodState(endpoint, max_requests=limit)
    pod.endpoint = endpoint
    return pod
