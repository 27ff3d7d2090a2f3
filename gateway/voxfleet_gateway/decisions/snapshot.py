"""A region's state, and the view of it that routing decides on. Pure.

Knows: which pods, reports, Lease and counters make up each field of a RegionView. A new datum for a score is added
here, as one field and one line of `region_view`.
Does not know: how a view is scored (routing.py); clocks (the time is an argument).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.peers.remote_state import RemoteState
from voxfleet_gateway.decisions.pods.balancing import servable
from voxfleet_gateway.decisions.pods.circuit import RegionCircuit
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodState
from voxfleet_gateway.decisions.region_traffic import RegionTraffic
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey


@dataclass(slots=True)
class RegionState:
    """One region of one model as this gateway knows it."""

    key: RegionKey
    model: ModelEntry
    entry: RegionEntry
    is_registered: bool = True  # False: no longer in the registry, kept for its last requests
    is_here: bool = True  # in this gateway's cluster, so that its pods are reached without another gateway
    pods: dict[PodAddress, PodState] = field(default_factory=dict)
    traffic: RegionTraffic = field(default_factory=RegionTraffic)
    circuit: RegionCircuit = field(default_factory=RegionCircuit)
    languages: tuple[str, ...] = ()  # as its servers reported last; what a region speaks is listed while it sleeps too
    remote: RemoteState | None = None  # of a region that is not here, and whose gateway is asked for reports


@dataclass(frozen=True, slots=True)
class RegionView:
    """One region of the requested model at the moment of a decision; the record in the log has the same fields."""

    name: str
    is_reachable: bool = True
    is_suspended: bool = False
    allowed_countries: tuple[str, ...] = ()
    failure: str | None = None  # why the region can't serve; None when it can
    retry_after_seconds: float | None = None
    price_per_gpu_hour: float = 0.0
    ready_pods: int = 0
    rows: int = 0  # rows of all servable pods
    rows_per_pod: int = 1  # of a pod that has not reported yet, by the registry
    running: int = 0  # rows in use, requests sent since the pods' last reports included
    waiting: int = 0  # sequences without a row
    drift: float = 0.0  # by which running + waiting have probably changed since the reports
    spread: float = 0.0  # standard deviation of that
    free_requests: int = 0  # further requests that this gateway may send there now
    circuit_left_seconds: float = 0.0  # every pod fails: no request is sent for so long
    service_seconds: float = 2.0  # mean time of one request
    is_falling_asleep: bool = False  # the operator has marked the Lease: it must be renewed before a request is sent
    wake_elapsed_seconds: float = 0.0
    predicted_wake_seconds: float = 30.0
    held: int = 0  # requests that wait for the region in this gateway
    free_places: int = 256  # further requests of the model that this gateway may hold
    is_remote: bool = False  # behind another gateway, as peers/remote_view.py makes the view
    is_stale: bool = False  # that gateway has not reported for too long
    report_age_seconds: float = 0.0
    hop_seconds: float = 0.0  # between the gateways and back

    @property
    def is_awake(self) -> bool:
        """Whether a request sent there now is answered without a wake."""
        return self.ready_pods > 0 and not self.is_falling_asleep

    @property
    def is_available(self) -> bool:
        """Whether the region is awake and this gateway may send it another request."""
        return self.is_awake and self.free_requests > 0


def region_view(
    region: RegionState, lease: Lease | None, held: int, free_places: int, now_seconds: float
) -> RegionView:
    """Return the view of a region with its demand Lease, the requests held for it, and how many more may be."""
    entry, traffic = region.entry, region.traffic
    pods = servable(region.pods.values(), now_seconds)
    free_requests = sum(pod.free_requests for pod in pods)
    rows = [pod.rows for pod in pods]
    forecasts = [pod.forecast(now_seconds, traffic.service_seconds) for pod in pods]
    requests = [each.known for each in forecasts]
    is_failing = bool(region.circuit.openings) and all(pod.ejection.failures for pod in pods)
    return RegionView(
        name=entry.name,
        is_reachable=region.is_here,
        is_suspended=entry.suspended or entry.phase == "Suspended",
        allowed_countries=entry.allowed_clients,
        # A servable pod has not failed: only without one the states of all are compared.
        failure=_failure(entry, () if pods else region.pods.values(), now_seconds),
        retry_after_seconds=entry.retry_after_seconds,
        price_per_gpu_hour=entry.price_per_gpu_hour,
        ready_pods=len(pods),
        rows_per_pod=region.model.serving.max_batch_size,
        rows=sum(rows),
        running=sum(map(min, requests, rows)),
        waiting=sum(requests) - sum(map(min, requests, rows)),
        drift=round(sum([each.mean for each in forecasts]) - sum(requests), 2),
        spread=round(math.sqrt(sum([each.variance for each in forecasts])), 2),
        free_requests=region.circuit.allowed(free_requests, sum(pod.unanswered for pod in pods), now_seconds)
        if is_failing
        else free_requests,
        circuit_left_seconds=round(region.circuit.left_seconds(now_seconds), 2) if is_failing else 0.0,
        # Rounded before they are decided on, so that the record holds what was decided on in few digits.
        service_seconds=round(traffic.service_seconds, 3),
        is_falling_asleep=lease is not None and lease.is_falling_asleep,
        wake_elapsed_seconds=round(traffic.wake_elapsed(now_seconds), 2),
        predicted_wake_seconds=round(traffic.predicted_wake(entry.predicted_wake_seconds), 2),
        held=held,
        free_places=free_places,
    )


def _failure(entry: RegionEntry, pods: Collection[PodState], now_seconds: float) -> str | None:
    """Return why the region cannot serve: the operator's message, or the pods' when every one has failed."""
    if entry.phase == "Failed":
        return entry.message or "the operator gave no reason"
    # A terminating pod is on its way out: its state says nothing about the region.
    remaining = [pod for pod in pods if not pod.endpoint.is_terminating]
    failed = [pod for pod in remaining if pod.state(now_seconds) == "failed"]
    if not failed or len(failed) < len(remaining) or failed[0].received is None:
        return None
    return failed[0].received.report.message or "the pod gave no reason"
