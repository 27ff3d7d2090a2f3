"""A region's phase as this gateway can know it, and by what it knows it. Pure.

Knows: which observation outweighs which. Reports of pods and of peers are seconds old; what the operator wrote into the
registry may be older, and is used where nothing was observed; failed and suspended are the operator's to say.
Does not know: how a region is shown; clocks (the time is an argument).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.fleet.pools import is_leaving
from voxfleet_gateway.decisions.pods.balancing import servable
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.regions import Phase

# pods: their load reports. gateway: a wake that this gateway asked for. lease: the demand Lease. peer: the report of
# the region's own gateway. operator: the registry.
KnownBy = Literal["pods", "gateway", "lease", "peer", "operator"]
OPERATORS_OWN = frozenset({"Failed", "Suspended"})


@dataclass(frozen=True, slots=True)
class KnownPhase:
    """A phase, and the observation behind it; `as_of`: None where the operator's word has no time."""

    phase: Phase
    known_by: KnownBy
    as_of: datetime | None = None


def phase_of(region: RegionState, lease: Lease | None, now: datetime, now_seconds: float) -> KnownPhase:
    """Return the region's phase now; `now_seconds` is the same moment on the monotonic clock."""
    entry = region.entry
    if region.model.suspended or entry.suspended:
        return KnownPhase("Suspended", "operator")
    if region.remote is not None and not region.remote.is_stale(now_seconds):
        return _phase_of_peer(region, now, now_seconds)
    if region.is_here and region.pods:
        return _phase_of_pods(region, lease, now, now_seconds)
    return (_asked_for(region, lease, now) if region.is_here else None) or KnownPhase(entry.phase, "operator")


def _asked_for(region: RegionState, lease: Lease | None, now: datetime) -> KnownPhase | None:
    """Return the wake of a region without pods that was asked for, and that the operator may not have begun."""
    if region.entry.phase in OPERATORS_OWN:
        return None
    if region.traffic.waking_since_seconds is not None:
        return KnownPhase("Waking", "gateway", now)
    if region.entry.phase == "Asleep" and lease is not None and lease.is_wanted_at(now):
        return KnownPhase("Waking", "lease", lease.renew_time)
    return None


def _phase_of_pods(region: RegionState, lease: Lease | None, now: datetime, now_seconds: float) -> KnownPhase:
    as_of = reported_at(region, now, now_seconds)
    if servable(region.pods.values(), now_seconds):
        is_ending = lease is not None and lease.is_falling_asleep
        return KnownPhase("Draining" if is_ending else "Awake", "pods", as_of)
    if all(is_leaving(pod, now_seconds) for pod in region.pods.values()):
        return KnownPhase("Draining", "pods", as_of)
    if region.entry.phase in OPERATORS_OWN:
        return KnownPhase(region.entry.phase, "operator")
    return KnownPhase("Waking", "pods", as_of)


def _phase_of_peer(region: RegionState, now: datetime, now_seconds: float) -> KnownPhase:
    remote = region.remote
    if remote is None:
        raise AssertionError("only called for a region behind a peer")
    report, as_of = remote.report, _earlier(now, remote.age_seconds(now_seconds))
    if report.failure is not None or region.entry.phase in OPERATORS_OWN:
        return KnownPhase("Suspended" if region.entry.phase == "Suspended" else "Failed", "peer", as_of)
    if report.ready_pods:
        return KnownPhase("Draining" if report.is_falling_asleep else "Awake", "peer", as_of)
    return KnownPhase("Waking" if report.wake_elapsed_seconds else "Asleep", "peer", as_of)


def reported_at(region: RegionState, now: datetime, now_seconds: float) -> datetime | None:
    """Return when the newest report of the region's pods was received; None before the first."""
    received = [pod.received.received_seconds for pod in region.pods.values() if pod.received is not None]
    return _earlier(now, now_seconds - max(received)) if received else None


def _earlier(now: datetime, age_seconds: float) -> datetime:
    return datetime.fromtimestamp(now.timestamp() - max(0.0, age_seconds), UTC)
