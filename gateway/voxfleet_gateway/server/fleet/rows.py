"""Makes what the fleet page shows of one region, from the state that routing decides on.

Knows: where each field of a FleetRegion comes from, and that a region behind another gateway is described by that
gateway's report. Does not know: which caller reads it (audience.py), when a row is made again (feed.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.fleet.phase import KnownPhase, phase_of
from voxfleet_gateway.decisions.fleet.pools import pool_counts, requests_at, stages
from voxfleet_gateway.decisions.fleet.replica_reports import NO_OTHERS, HeldByOthers
from voxfleet_gateway.decisions.fleet.wake_progress import wake_parts
from voxfleet_gateway.decisions.pods.pod_state import PodState
from voxfleet_gateway.decisions.snapshot import RegionState, RegionView
from voxfleet_gateway.peers.report import ModelReport
from voxfleet_gateway.pods.fleet import Fleet, utc_now
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.server.fleet.contract import FleetRegion, Place, PoolServers, WakePartState, WakeState

# A report arrives every second; a row whose only news is its age is sent no more often than this.
AGE_SECONDS = 10.0


@dataclass(slots=True)
class FleetRows:
    """Makes rows. `peer_report`: the newest report of a region's own gateway; `fault`: why that is not reached.

    `others`: what the other gateways of this region hold; `peer_silent`: how many of a region's own gateways have not
    said it to the one that reports.
    """

    fleet: Fleet
    peer_report: Callable[[RegionKey], ModelReport | None] = lambda _key: None
    peer_silent: Callable[[RegionKey], int] = lambda _key: 0
    others: Callable[[], HeldByOthers] = lambda: NO_OTHERS
    fault: Callable[[RegionKey], str] = lambda _key: ""
    clock: Callable[[], datetime] = utc_now

    def row(self, key: RegionKey) -> FleetRegion:
        """Return the region's row now."""
        region, now, now_seconds = self.fleet.regions[key], self.clock(), self.fleet.clock()
        lease, view = self.fleet.lease(key) if region.is_here else None, self.fleet.standing(key).view
        report = None if region.is_here else self.peer_report(key)
        phase, entry, others = phase_of(region, lease, now, now_seconds), region.entry, self.others()
        return FleetRegion(
            namespace=key.namespace,
            name=key.name,
            region=key.region,
            model=region.model.model,
            place=Place(**entry.location._asdict()) if entry.location is not None else None,
            phase=phase.phase,
            known_by=phase.known_by,
            as_of=_coarse(phase.as_of),
            is_stale=not region.is_here and (region.remote is None or region.remote.is_stale(now_seconds)),
            is_here=region.is_here,
            fault=self.fault(key),
            message=(view.failure or "") if phase.phase == "Failed" else "",
            pools=_pools(region, report, now_seconds),
            open_requests=report.pod_requests if report else requests_at(region.pods.values()),
            held_requests=view.held + others.of(key) + (report.held_by_all if report else 0),
            silent_gateways=others.silent + (0 if region.is_here else self.peer_silent(key)),
            rows=view.rows,
            running=view.running,
            wake=_wake(region, view, _Sources(phase, report, now, now_seconds)),
            predicted_wake_seconds=view.predicted_wake_seconds,
            asleep_since=_asleep_since(region, lease) if phase.phase == "Asleep" else None,
            sleep_asked_at=lease.sleep_at if lease is not None and _waits_for_sleep(lease, phase, now) else None,
            awake_until=_awake_until(lease) if phase.phase == "Awake" else None,
            price_per_gpu_hour=entry.price_per_gpu_hour or None,
            cost=entry.cost,
        )


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a wake's fields come from, beside the region; `now_seconds` is `now` on the monotonic clock."""

    phase: KnownPhase
    report: ModelReport | None
    now: datetime
    now_seconds: float


def _coarse(as_of: datetime | None) -> datetime | None:
    if as_of is None:
        return None
    return datetime.fromtimestamp(as_of.timestamp() // AGE_SECONDS * AGE_SECONDS, UTC)


def _pools(region: RegionState, report: ModelReport | None, now_seconds: float) -> tuple[PoolServers, ...]:
    service = region.entry.service.name if region.entry.service is not None else ""
    counts = report.pools if report is not None else pool_counts(service, region.pods.values(), now_seconds)
    return tuple(PoolServers.model_validate(count) for count in counts)


def _waits_for_sleep(lease: Lease, phase: KnownPhase, now: datetime) -> bool:
    return lease.is_sleep_asked_at(now) and phase.phase not in {"Asleep", "Suspended", "Failed"}


def _asleep_since(region: RegionState, lease: Lease | None) -> datetime | None:
    """Return the operator's mark: of the Lease where it is read here, else as the registry has it."""
    if lease is None:
        return region.entry.asleep_since
    return lease.asleep_since if lease.is_falling_asleep else None


def _awake_until(lease: Lease | None) -> datetime | None:
    if lease is None or lease.renew_time is None:
        return None
    return lease.renew_time + timedelta(seconds=lease.duration_seconds)


def _wake(region: RegionState, view: RegionView, sources: _Sources) -> WakeState | None:
    """Return the wake that is under way; its start is the operator's, else that of what this gateway knows it by."""
    if sources.phase.phase != "Waking":
        return None
    entry, pods, report = region.entry, region.pods.values(), sources.report
    known = [*stages(pods, sources.now_seconds), *([report.start_stage] if report and report.start_stage else [])]
    parts = wake_parts(entry.wake, entry.last_wake, known, _loaded_seconds(pods))
    return WakeState(
        started_at=entry.wake.started_at if entry.wake is not None else _started_at(view, sources),
        expected_seconds=view.predicted_wake_seconds,
        parts=tuple(WakePartState.model_validate(part) for part in parts),
    )


def _started_at(view: RegionView, sources: _Sources) -> datetime | None:
    if sources.phase.known_by == "lease":
        return sources.phase.as_of
    if not view.wake_elapsed_seconds:
        return None
    return datetime.fromtimestamp(round(sources.now.timestamp() - view.wake_elapsed_seconds), UTC)


def _loaded_seconds(pods: Iterable[PodState]) -> float | None:
    reports = [pod.received.report for pod in pods if pod.received is not None]
    return next((each.loaded_seconds for each in reports if each.state == "warming" and each.loaded_seconds), None)
