"""The regions behind other gateways: which peer reports each, what it reported, which attempts wait for it.

Knows: that a peer is a region's name and its gatewayURL, and that several models share it; which names are known.
Does not know: sockets; how reports are fetched (poller.py); what is decided from them (decisions/).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from voxfleet_gateway.decisions.peers.gateway_urls import Networks, PeerUrl, parse_peer_url
from voxfleet_gateway.decisions.peers.remote_state import ASLEEP, STALE_INTERVALS, RemoteReport, RemoteState
from voxfleet_gateway.errors import PeerUrlError, UpstreamFailure
from voxfleet_gateway.peers.report import ModelReport, RegionReport
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import CIRCUITS_OPENED

MAX_PEERS_PER_REGION = 4  # URLs of one region: resources are written by many, and each URL is polled

log = structlog.get_logger(__name__)


class Peer(NamedTuple):
    """One gateway that is asked for reports."""

    region: str
    url: PeerUrl


class PeerReport(NamedTuple):
    """A report, and when it was asked for, by this process's monotonic clock."""

    report: RegionReport
    asked_seconds: float
    hop_seconds: float


@dataclass(slots=True)
class RemoteRegions:
    """Shared by poller and spilled requests; the states themselves are the fleet's."""

    fleet: Fleet
    domains: tuple[str, ...]
    networks: Networks
    interval_seconds: float
    on_peers_change: Callable[[], None] = lambda: None
    on_suspicion: Callable[[Peer], None] = lambda _peer: None
    on_report: Callable[[RegionKey], None] = lambda _key: None  # it differs from the last one
    peer_of: dict[RegionKey, Peer] = field(default_factory=dict)
    keys_of: dict[Peer, dict[RegionKey, None]] = field(default_factory=dict)
    reports: dict[Peer, PeerReport] = field(default_factory=dict)  # the newest of each, fresh or not
    waiting: dict[RegionKey, set[asyncio.Timeout]] = field(default_factory=dict)  # of attempts without a byte
    refused: dict[RegionKey, str] = field(default_factory=dict)  # why a region has no peer, as it was logged
    named: Counter[str] = field(default_factory=Counter)  # registered regions by name
    seen: set[RegionKey] = field(default_factory=set)  # of `named`

    def known(self) -> set[str]:
        """Return the names of the regions that requests and reports are taken from: those of others."""
        return {name for name, count in self.named.items() if count > 0 and name != self.fleet.gateway_region}

    def follow(self, keys: Iterable[RegionKey]) -> None:
        """Apply the registry's present entries of these regions."""
        before = {*self.keys_of}
        for key in keys:
            self._follow(key)
        if before != self.keys_of.keys():
            self.on_peers_change()

    def _follow(self, key: RegionKey) -> None:
        region = self.fleet.regions.get(key)
        is_registered = region is not None and region.is_registered
        self._count_name(key, is_registered=is_registered)
        peer = self._peer(key) if is_registered else None
        if (old := self.peer_of.get(key)) != peer:
            if old is not None:
                self._leave(key, old)
            if peer is not None:
                self.peer_of[key] = peer
                self.keys_of.setdefault(peer, {})[key] = None
            if region is not None:
                region.remote = RemoteState(self.interval_seconds) if peer is not None else None

    def _count_name(self, key: RegionKey, *, is_registered: bool) -> None:
        if is_registered and key not in self.seen:
            self.seen.add(key)
            self.named[key.region] += 1
        elif not is_registered and key in self.seen:
            self.seen.discard(key)
            self.named[key.region] -= 1

    def _leave(self, key: RegionKey, peer: Peer) -> None:
        del self.peer_of[key]
        self.keys_of[peer].pop(key)
        if not self.keys_of[peer]:
            del self.keys_of[peer]
            self.reports.pop(peer, None)

    def _peer(self, key: RegionKey) -> Peer | None:
        """Return the gateway to ask about a region; None for one that is here, or whose URL is refused."""
        region = self.fleet.regions[key]
        if region.is_here or not region.entry.gateway_url:
            self.refused.pop(key, None)
            return None
        try:
            peer = Peer(key.region, parse_peer_url(region.entry.gateway_url, self.domains, self.networks))
            others = (each for each, keys in self.keys_of.items() if keys.keys() != {key})
            urls = sum(each.region == key.region for each in others)
            if peer not in self.keys_of and urls >= MAX_PEERS_PER_REGION:
                raise PeerUrlError(f"region {key.region} has {urls} gatewayURLs already; the limit is {urls}")  # noqa: TRY301  # logged as the others
        except PeerUrlError as error:
            if self.refused.get(key) != str(error):
                self.refused[key] = str(error)
                log.warning(
                    "peer_url_refused", model=f"{key.namespace}/{key.name}", region=key.region, error=str(error)
                )
            return None
        self.refused.pop(key, None)
        return peer

    def state(self, key: RegionKey) -> RemoteState | None:
        """Return what is known of a region behind a peer; None for one that is here, or has no peer."""
        region = self.fleet.regions.get(key)
        return region.remote if region is not None else None

    def is_reporting(self, peer: Peer) -> bool:
        """Whether the peer's newest report is fresh."""
        received = self.reports.get(peer)
        if received is None:
            return False
        return self.fleet.clock() - received.asked_seconds <= STALE_INTERVALS * self.interval_seconds

    def newest_report(self, key: RegionKey) -> ModelReport | None:
        """Return the newest row of a region's own gateway about it; None without one."""
        received = self.reports.get(peer) if (peer := self.peer_of.get(key)) is not None else None
        return received.report.by_model.get((key.namespace, key.name)) if received is not None else None

    def silent_gateways(self, key: RegionKey) -> int:
        """Return how many gateways of a region have not said to the one that reports what they hold."""
        received = self.reports.get(peer) if (peer := self.peer_of.get(key)) is not None else None
        return received.report.silent if received is not None else 0

    def sent_before(self, peer: Peer) -> dict[RegionKey, int]:
        """Return how many requests were sent to each region of the peer so far: a report asked for now has them."""
        states = ((key, self.state(key)) for key in self.keys_of.get(peer, {}))
        return {key: state.sent for key, state in states if state is not None}

    def record_report(
        self,
        peer: Peer,
        report: RegionReport,
        asked_seconds: float,
        sent_before: Mapping[RegionKey, int],
        hop_seconds: float,
    ) -> None:
        """Take a peer's report over into every region that it is about; a model without a row is asleep."""
        if peer not in self.keys_of:
            return
        last, self.reports[peer] = self.reports.get(peer), PeerReport(report, asked_seconds, hop_seconds)
        for key in [*self.keys_of[peer]]:
            if (state := self.state(key)) is None:
                continue
            row = report.by_model.get((key.namespace, key.name))
            if last is None or row != last.report.by_model.get((key.namespace, key.name)):
                self.on_report(key)
            given = _remote_report(row) if row is not None else ASLEEP
            if row is not None and row.languages:
                self.fleet.regions[key].languages = row.languages
            if state.record_report(given, asked_seconds, sent_before.get(key, state.sent), hop_seconds):
                self.fleet.notify(key)

    def record_silence(self, peer: Peer) -> None:
        """Record a poll without a report; requests without a byte leave a peer that has stopped reporting."""
        now_seconds = self.fleet.clock()
        for key in [*self.keys_of.get(peer, {})]:
            state = self.state(key)
            if state is not None and state.is_stale(now_seconds):
                self._give_up(key)
                self.fleet.notify(key)

    def _give_up(self, key: RegionKey) -> None:
        timers = self.waiting.pop(key, set())
        for timer in timers:
            timer.reschedule(asyncio.get_running_loop().time())
        timers.clear()  # what is no longer here was given up

    def end(self) -> None:
        """End what waits for its first byte elsewhere: this process has no more time for it."""
        for key in [*self.waiting]:
            self._give_up(key)

    def record_failure(self, key: RegionKey, failure: UpstreamFailure) -> None:
        """Record that an attempt failed; have the peer polled at once, since a report decides about the next."""
        region, now_seconds = self.fleet.regions.get(key), self.fleet.clock()
        if region is None or region.remote is None:
            return
        region.remote.record_failure(failure, now_seconds)
        if failure is UpstreamFailure.FULL:
            region.circuit.record_answer()
        elif region.circuit.record_failure(now_seconds, is_every_pod_failing=True):
            CIRCUITS_OPENED.labels(*key.labels).inc()
        if (peer := self.peer_of.get(key)) is not None:
            self.on_suspicion(peer)
        self.fleet.notify(key)

    def record_answer(self, key: RegionKey) -> None:
        """Record that the region's gateway has answered a request."""
        region = self.fleet.regions.get(key)
        if region is not None and region.circuit.failures:
            region.circuit.record_answer()
            self.fleet.notify(key)


def _remote_report(row: ModelReport) -> RemoteReport:
    return RemoteReport(
        ready_pods=row.ready_pods,
        rows=row.rows,
        running=row.running,
        waiting=row.waiting,
        free_requests=row.free_requests,
        service_seconds=row.service_seconds,
        measured_wake_seconds=row.measured_wake_seconds,
        wake_elapsed_seconds=row.wake_elapsed_seconds,
        is_falling_asleep=row.is_falling_asleep,
        failure=row.failure,
    )
