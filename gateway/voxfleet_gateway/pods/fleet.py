"""The gateway's picture of all regions: who is where, who is ready, what is open, held and waking.

Knows: how registry, addresses, Leases, reports and own traffic make one row per region for routing.
Does not know: sockets, Kubernetes, HTTP; it is changed by calls and asked by calls.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voxfleet_gateway.cluster.endpoint_watch import PodAddress, PodEndpoint, ServiceKey
from voxfleet_gateway.cluster.list_watch import ObjectKey
from voxfleet_gateway.decisions.client_location import Location
from voxfleet_gateway.decisions.demand_lease import Activity, Lease
from voxfleet_gateway.decisions.routing import RegionView
from voxfleet_gateway.pods.load_report import PodRecord, ReceivedReport
from voxfleet_gateway.pods.traffic import RegionTraffic
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey, Registry
from voxfleet_gateway.telemetry import HELD_REQUESTS, OPEN_REQUESTS, WAKE


def utc_now() -> datetime:
    """The wall clock, for Leases and reports."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Fleet:
    """One row per region, one record per pod."""

    registry: Callable[[], Registry]
    pods_behind: Callable[[ServiceKey], tuple[PodEndpoint, ...]]
    leases: Callable[[], dict[ObjectKey, Lease]]
    on_region_change: Callable[[RegionKey], None] = lambda _key: None
    clock: Callable[[], float] = time.monotonic
    pods: dict[RegionKey, dict[PodAddress, PodRecord]] = field(default_factory=dict)
    traffic_by_region: dict[RegionKey, RegionTraffic] = field(default_factory=dict)

    def refresh(self) -> None:
        """Take over what the watches know now, and tell whoever waits for a region."""
        known = dict(self._regions())
        for key in [key for key in self.pods if key not in known]:
            del self.pods[key]
        for key, entry in known.items():
            self._refresh_pods(key, entry)
        for key, traffic in [*self.traffic_by_region.items()]:
            self._settle_wake(key)
            self.on_region_change(key)
            if key not in known and not traffic.open_requests + traffic.held_requests:
                del self.traffic_by_region[key]

    def _regions(self) -> Iterator[tuple[RegionKey, RegionEntry]]:
        for model in self.registry().models:
            for region in model.regions:
                yield RegionKey(model.namespace, model.name, region.name), region

    def _refresh_pods(self, key: RegionKey, entry: RegionEntry) -> None:
        service = entry.service
        endpoints = self.pods_behind((service.namespace, service.name)) if service and entry.local else ()
        old = self.pods.get(key, {})
        self.pods[key] = {endpoint.address: _updated(old.get(endpoint.address), endpoint) for endpoint in endpoints}

    def traffic(self, key: RegionKey) -> RegionTraffic:
        """The region's counters, made at first use."""
        return self.traffic_by_region.setdefault(key, RegionTraffic())

    def lease(self, key: RegionKey) -> Lease | None:
        """The region's demand Lease, if it exists."""
        model = self.registry().resolve(f"{key.namespace}/{key.name}")
        entry = model.region(key.region) if model else None
        if entry is None or entry.lease is None:
            return None
        return self.leases().get((entry.lease.namespace, entry.lease.name))

    def servable_pods(self, key: RegionKey) -> list[PodRecord]:
        """Pods of the region that may be sent a request now."""
        now_seconds = self.clock()
        return [pod for pod in self.pods.get(key, {}).values() if pod.servable(now_seconds)]

    def pick_pod(self, key: RegionKey) -> PodRecord | None:
        """The pod with the least to do."""
        pods = [pod for pod in self.servable_pods(key) if pod.free_requests > 0]
        return min(pods, key=lambda pod: (pod.waiting, -pod.free_rows, pod.open_requests, pod.address.ip), default=None)

    def views(self, model: ModelEntry) -> tuple[RegionView, ...]:
        """What routing decides on."""
        return tuple(self.view(model, region) for region in model.regions)

    def view(self, model: ModelEntry, region: RegionEntry) -> RegionView:
        """One region, now."""
        key = RegionKey(model.namespace, model.name, region.name)
        traffic, lease, pods = self.traffic(key), self.lease(key), self.servable_pods(key)
        return RegionView(
            name=region.name,
            location=_location(region),
            reachable=region.local,
            suspended=region.suspended or region.phase == "Suspended",
            allowed_countries=region.allowed_clients,
            failure=self._failure(key, region),
            retry_after_seconds=region.retry_after_seconds,
            price_per_gpu_hour=region.price_per_gpu_hour,
            ready_pods=len(pods),
            rows=sum(pod.running + pod.free_rows for pod in pods),
            running=sum(pod.running for pod in pods),
            waiting=sum(pod.waiting for pod in pods),
            free_requests=sum(pod.free_requests for pod in pods),
            service_seconds=traffic.service_seconds,
            falling_asleep=lease is not None and lease.falling_asleep,
            wake_elapsed_seconds=traffic.wake_elapsed(self.clock()),
            predicted_wake_seconds=traffic.predicted_wake(region.predicted_wake_seconds),
            held=traffic.held_requests,
        )

    def _failure(self, key: RegionKey, region: RegionEntry) -> str | None:
        """Why the region cannot serve: the operator says so, or every pod it has does."""
        if region.phase == "Failed":
            return region.message or "the operator gave no reason"
        now_seconds = self.clock()
        pods = [pod for pod in self.pods.get(key, {}).values() if not pod.endpoint.terminating]
        failed = [pod for pod in pods if pod.state(now_seconds) == "failed"]
        if not failed or len(failed) < len(pods) or failed[0].received is None:
            return None
        return failed[0].received.report.message or "the pod gave no reason"

    def reported(self, key: RegionKey, address: PodAddress, received: ReceivedReport) -> None:
        """A pod has answered a poll."""
        pod = self.pods.get(key, {}).get(address)
        if pod is None:
            return
        pod.take(received)
        self._settle_wake(key)
        self.on_region_change(key)

    def quarantine(self, key: RegionKey, pod: PodRecord) -> None:
        """An attempt at the pod failed: nothing more until it reports again."""
        pod.quarantined_since_seconds = self.clock()
        self.on_region_change(key)

    def wake_asked(self, key: RegionKey) -> bool:
        """Note that the region is wanted; True when this began a wake."""
        traffic = self.traffic(key)
        traffic.wake_asked = True
        return not self.pods.get(key) and traffic.wake_began(self.clock())

    def _settle_wake(self, key: RegionKey) -> None:
        """Stop the clock of a wake when the region has a pod that serves."""
        if not self.servable_pods(key):
            return
        length_seconds = self.traffic(key).wake_ended(self.clock())
        if length_seconds is not None:
            WAKE.labels(key.namespace, key.name, key.region).observe(length_seconds)

    @contextmanager
    def sending(self, key: RegionKey, pod: PodRecord) -> Iterator[None]:
        """Count a request as open, on its pod and in its region, while it is being sent and answered."""
        traffic, began_seconds = self.traffic(key), self.clock()
        traffic.open_requests += 1
        pod.open_requests += 1
        pod.sent_since_report += 1
        self._show_open(key)
        complete = False
        try:
            yield
            complete = True
        finally:
            traffic.open_requests -= 1
            pod.open_requests -= 1
            traffic.finished(self.clock() - began_seconds if complete else None, utc_now())
            self._show_open(key)
            self.on_region_change(key)

    def _show_open(self, key: RegionKey) -> None:
        OPEN_REQUESTS.labels(key.namespace, key.name, key.region).set(self.traffic(key).open_requests)

    def held(self, key: RegionKey, count: int) -> None:
        """Note how many requests wait for the region."""
        self.traffic(key).held_requests = count
        HELD_REQUESTS.labels(key.namespace, key.name, key.region).set(count)

    def activity(self, key: RegionKey) -> Activity:
        """What the demand Lease has to say of this region."""
        traffic = self.traffic(key)
        return Activity(traffic.held_requests, traffic.open_requests, traffic.wake_asked, traffic.last_finished)


def _updated(old: PodRecord | None, endpoint: PodEndpoint) -> PodRecord:
    """Keep a pod's counters when Kubernetes says something new of it; an address can pass to another pod."""
    if old is None or old.endpoint.name != endpoint.name:
        return PodRecord(endpoint)
    old.endpoint = endpoint
    return old


def _location(region: RegionEntry) -> Location | None:
    if region.latitude is None or region.longitude is None:
        return None
    return Location(region.latitude, region.longitude)
