"""All regions this gateway knows: how registry, endpoints, Leases, load reports and own requests change them.

Knows: pods, counters, wakes, and which callbacks a change calls.
Does not know: which regions there are (region_table.py), how long a view is kept (kept_standings.py), sockets,
Kubernetes, HTTP; what is decided (decisions/). Changed and read by calls alone.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from voxfleet_gateway.decisions.demand_lease import Activity, Lease
from voxfleet_gateway.decisions.pods import balancing
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint, PodState, ReceivedReport, updated_pod
from voxfleet_gateway.decisions.region_standing import RegionStanding
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.pods.attempts import Attempts
from voxfleet_gateway.pods.kept_standings import KeptStandings
from voxfleet_gateway.pods.region_table import RegionTable
from voxfleet_gateway.regions import ModelEntry, ObjectKey, RegionKey, Registry
from voxfleet_gateway.telemetry import CIRCUITS_OPENED, EJECTIONS, OPEN_REQUESTS, WAKE


def utc_now() -> datetime:
    """Return the wall-clock time, which Leases and reports use."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Fleet:
    """The regions, and what is asked and recorded about each."""

    registry: Callable[[], Registry]
    pods_behind: Callable[[ObjectKey], tuple[PodEndpoint, ...]]  # by namespace and name of a Service
    leases: Callable[[], Mapping[ObjectKey, Lease]]
    held: Callable[[RegionKey], int] = lambda _key: 0  # requests held for a region; dispatch/hold_queues counts them
    on_region_change: Callable[[RegionKey], None] = lambda _key: None
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    on_suspicion: Callable[[RegionKey, PodAddress], None] = lambda _key, _address: None
    replicas: int = 1  # gateways of this region, which share the pods
    gateway_region: str = ""
    free_places: Callable[[ModelEntry], int] = lambda model: model.gateway.max_held_requests  # in the hold queues
    attempts: Attempts = field(default_factory=Attempts)
    on_pods_change: Callable[[RegionKey], None] = lambda _key: None
    on_models_change: Callable[[list[RegionKey]], None] = lambda _keys: None  # with the regions of what changed
    table: RegionTable = field(default_factory=RegionTable)
    kept: KeptStandings = field(default_factory=KeptStandings)

    @property
    def regions(self) -> dict[RegionKey, RegionState]:
        """The regions by key."""
        return self.table.regions

    def refresh(self) -> None:
        """Apply the whole registry and all endpoints; notify every region."""
        self.refresh_models({*self.registry().entries, *(region.model.ref for region in self.regions.values())})

    def refresh_models(self, refs: Iterable[ObjectKey]) -> None:
        """Apply the registry's present entries of these models, by namespace and name, and their endpoints."""
        for ref in refs:
            known = self.table.index.of_model(ref)  # also those that the registry names no longer
            keys, gone = self.table.apply(ref, self.registry().entries.get(ref), self.gateway_region)
            for key in gone:
                self._forget_if_over(key)
            self.on_models_change([*known, *keys])
            self._refresh_regions([*keys, *(key for key in gone if key in self.regions)])

    def refresh_services(self, services: Iterable[ObjectKey]) -> None:
        """Apply the present endpoints of these Services."""
        for service in services:
            self._refresh_regions(self.table.index.of_service(service))

    def notify_leases(self, leases: Iterable[ObjectKey]) -> None:
        """Notify the regions of these Leases."""
        for key in [key for lease in leases for key in self.table.index.of_lease(lease)]:
            self._changed(key)

    def _forget_if_over(self, key: RegionKey) -> None:
        """Forget a region that is no longer registered once its last request has ended."""
        region = self.regions.get(key)
        if region is None or region.is_registered or region.traffic.open_requests or self.held(key):
            return
        self._set_pods(region, {})
        self.table.remove(key)
        self.kept.drop(key)

    def _refresh_regions(self, keys: Iterable[RegionKey]) -> None:
        for key in [*keys]:
            region = self.regions[key]
            self._refresh_pods(region)
            self._settle_wake(region)
            self._changed(key)  # also of a region without held requests: those of another may move to it
            self._forget_if_over(key)

    def _refresh_pods(self, region: RegionState) -> None:
        service = region.entry.service if region.is_registered and region.is_here else None
        endpoints = self.pods_behind((service.namespace, service.name)) if service else ()
        old, limit = region.pods, region.model.serving.open_limit(self.replicas)
        self._set_pods(region, {each.address: updated_pod(old.get(each.address), each, limit) for each in endpoints})

    def _set_pods(self, region: RegionState, pods: dict[PodAddress, PodState]) -> None:
        old, region.pods = region.pods, pods
        for address, pod in old.items():
            if pods.get(address) is not pod:
                self.attempts.give_up(pod)
        if old.keys() != pods.keys():
            self.on_pods_change(region.key)

    def lease(self, key: RegionKey) -> Lease | None:
        """Return the region's demand Lease, or None when it does not exist."""
        region = self.regions.get(key)
        if region is None or not region.is_registered or region.entry.lease is None:
            return None
        return self.leases().get((region.entry.lease.namespace, region.entry.lease.name))

    def languages(self, model: ModelEntry) -> tuple[str, ...]:
        """Return the model's languages: those of its resource, or what servers of any region reported last."""
        reported = (self.regions[key].languages for key in model.keys if key in self.regions)
        return model.languages or next(filter(None, reported), ())

    def pick_pod(self, key: RegionKey) -> PodState | None:
        """Return the pod for the next request, or None when none is servable with free requests."""
        return balancing.pick_pod(self.regions[key].pods.values(), self.clock(), self.draw())

    def standings(self, model: ModelEntry) -> tuple[RegionStanding, ...]:
        """Return the standings of all regions of a registered model, in the registry's order."""
        free_places = self.free_places(model)
        return tuple(self._standing(key, free_places) for key in model.keys)

    def standing(self, key: RegionKey) -> RegionStanding:
        """Return the standing of one region."""
        return self._standing(key, self.free_places(self.regions[key].model))

    def _standing(self, key: RegionKey, free_places: int) -> RegionStanding:
        lease, held = partial(self.lease, key), self.held(key)
        return self.kept.standing(self.regions[key], lease, held, free_places, self.clock())

    def notify(self, key: RegionKey) -> None:
        """Apply what a region's gateway has reported, or has not."""
        if key in self.regions:
            self._changed(key)

    def drop_view(self, key: RegionKey) -> None:
        """Evaluate the region's state for the next decision."""
        self.kept.drop(key)

    def _changed(self, key: RegionKey) -> None:
        self.kept.drop(key)
        self.on_region_change(key)

    def record_report(self, key: RegionKey, address: PodAddress, received: ReceivedReport) -> None:
        """Record a pod's load report; one of a pod that is gone is dropped."""
        region = self.regions.get(key)
        pod = region.pods.get(address) if region else None
        if region is None or pod is None:
            return
        pod.record_report(received)
        if received.report.state == "ready":
            region.languages = received.report.languages
        self._settle_wake(region)
        self._changed(key)

    def record_failure(self, key: RegionKey, pod: PodState, failure: UpstreamFailure) -> None:
        """Record that an attempt at the pod failed; have it polled at once where only a report can clear it."""
        now_seconds, region = self.clock(), self.regions[key]
        if pod.record_failure(failure, now_seconds):
            EJECTIONS.labels(*key.labels).inc()
        if failure is UpstreamFailure.FULL:
            region.circuit.record_answer()
            self._changed(key)
            return
        is_failing = balancing.is_failing(region.pods.values(), now_seconds)
        if region.circuit.record_failure(now_seconds, is_every_pod_failing=is_failing):
            CIRCUITS_OPENED.labels(*key.labels).inc()
        if pod.quarantined_since_seconds is not None:
            self.on_suspicion(key, pod.address)
        self._changed(key)

    def record_answer(self, key: RegionKey) -> None:
        """Record that a pod of the region has answered a request."""
        if (region := self.regions.get(key)) is not None and region.circuit.failures:
            region.circuit.record_answer()
            self._changed(key)

    def record_silence(self, key: RegionKey, pod: PodState) -> None:
        """Record a poll without a report; requests without a byte leave a pod that has stopped reporting."""
        if pod.is_dark(self.clock()) and self.attempts.give_up(pod):
            self._changed(key)

    def would_wake(self, key: RegionKey) -> bool:
        """Whether a request for the region would start a wake: it has no pods, and none is awaited."""
        region = self.regions[key]
        return not region.pods and region.traffic.waking_since_seconds is None

    def request_wake(self, key: RegionKey) -> bool:
        """Record that the region is wanted; return True when this started a wake."""
        would_wake, region = self.would_wake(key), self.regions[key]
        region.traffic.is_wake_requested = True
        self.kept.drop(key)
        # With pods the region is waking or awake already: only its Lease needs a renewal.
        return would_wake and region.traffic.start_wake(self.clock())

    def _settle_wake(self, region: RegionState) -> None:
        """Stop the clock of a wake once the region has a servable pod."""
        if region.traffic.waking_since_seconds is None:
            return
        now_seconds = self.clock()
        if not balancing.servable(region.pods.values(), now_seconds):
            return
        length_seconds = region.traffic.end_wake(now_seconds)
        if length_seconds is not None:
            WAKE.labels(*region.key.labels).observe(length_seconds)

    @contextmanager
    def sending(self, key: RegionKey, pod: PodState, *, is_measured: bool = True) -> Iterator[None]:
        """Count a request as open, on its pod and in its region, for the length of the context.

        `is_measured`: its length is a service time; that of a session is its user's.
        """
        region, began_seconds = self.regions[key], self.clock()
        traffic, has_waited = region.traffic, not pod.free_rows
        traffic.open_requests += 1
        pod.record_sent()
        self.kept.drop(key)
        OPEN_REQUESTS.labels(*key.labels).set(traffic.open_requests)
        complete = False
        try:
            yield
            complete = True
            pod.ejection.record_success()
        finally:
            traffic.open_requests -= 1
            pod.record_ended(has_row=is_measured)
            # Only complete responses measure the service time: a failure is quick and would make it look short.
            service_seconds = self.clock() - began_seconds if complete and is_measured else None
            traffic.record_end(service_seconds, utc_now(), has_waited=has_waited)
            OPEN_REQUESTS.labels(*key.labels).set(traffic.open_requests)
            self._changed(key)
            self._forget_if_over(key)

    def activity(self, key: RegionKey) -> Activity:
        """Return what decides about renewing the region's demand Lease."""
        traffic = self.regions[key].traffic
        return Activity(self.held(key), traffic.open_requests, traffic.is_wake_requested, traffic.last_finished)
