"""When a region's demand Lease is renewed, and to what. Pure.

Knows: the sleep protocol between gateways and operator: a renewal says "wanted"; `asleep-since` says "I have put it
to sleep"; whoever sees the latter renews first and sends requests afterwards.
Does not know: how a Lease is patched, who asks, clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

ASLEEP_SINCE = "voxfleet.dev/asleep-since"

TICK = timedelta(microseconds=1)  # a Lease's resolution
LONGEST_PERIOD_SECONDS = 30.0
MIN_GAP_SECONDS = 1.0  # between two renewals of one Lease that nobody is waiting for


@dataclass(frozen=True, slots=True)
class Lease:
    """A demand Lease, as far as gateways read it."""

    namespace: str
    name: str
    resource_version: str
    duration_seconds: float
    renew_time: datetime | None = None
    asleep_since: datetime | None = None
    holder: str = ""
    created: datetime | None = None

    @property
    def falling_asleep(self) -> bool:
        """Whether the operator has marked the region asleep and nobody has renewed since."""
        if self.asleep_since is None:
            return False
        return self.renew_time is None or self.renew_time <= self.asleep_since

    def wanted_at(self, now: datetime) -> bool:
        """Whether the Lease, as it stands, keeps its region awake."""
        if self.renew_time is None or self.falling_asleep:
            return False
        return now < self.renew_time + timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Activity:
    """What this gateway has to do with a region at the moment."""

    held: int = 0
    open: int = 0
    wake_asked: bool = False  # a request found the region asleep, or someone asked for it to wake
    last_finished: datetime | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for the region or being served there."""
        return self.held + self.open > 0


def renewal_period_seconds(duration_seconds: float) -> float:
    """How often a Lease is renewed while there is work."""
    return min(LONGEST_PERIOD_SECONDS, duration_seconds / 3)


def renewal_reason(lease: Lease, activity: Activity, now: datetime, *, stopping: bool = False) -> str | None:
    """Why the Lease should be renewed now; None when it should not."""
    if not lease.wanted_at(now) and (activity.wake_asked or activity.busy):
        return "wake"
    age_seconds = float("inf") if lease.renew_time is None else (now - lease.renew_time).total_seconds()
    if age_seconds < MIN_GAP_SECONDS:
        return None
    if activity.wake_asked and age_seconds >= renewal_period_seconds(lease.duration_seconds):
        return "wake"  # wanted already, but not awake: after a failed wake only new demand starts the next try
    if activity.busy:
        due = stopping or age_seconds >= renewal_period_seconds(lease.duration_seconds)
        return ("stopping" if stopping else "active") if due else None
    return "finished" if _end_untold(lease, activity) else None


def _end_untold(lease: Lease, activity: Activity) -> bool:
    """Whether the last request ended after the last renewal.

    A request that ended before the Lease was made belonged to an earlier resource of the same name.
    """
    if activity.last_finished is None or (lease.created is not None and activity.last_finished < lease.created):
        return False
    return lease.renew_time is None or activity.last_finished > lease.renew_time


def next_renew_time(lease: Lease, now: datetime) -> datetime:
    """Now, but never backwards and always past `asleep-since`, whatever the two clocks say."""
    floors = [moment + TICK for moment in (lease.renew_time, lease.asleep_since) if moment is not None]
    return max([now, *floors])


def renewal_patch(lease: Lease, now: datetime, holder: str) -> dict[str, Any]:
    """A merge patch; the resourceVersion makes it fail when somebody else has renewed meanwhile."""
    return {
        "metadata": {"resourceVersion": lease.resource_version},
        "spec": {"renewTime": format_time(next_renew_time(lease, now)), "holderIdentity": holder},
    }


def parse_lease(raw: Mapping[str, Any]) -> Lease:
    """Read a Lease as the API server writes it."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    return Lease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
        renew_time=parse_time(spec.get("renewTime")),
        asleep_since=parse_time((metadata.get("annotations") or {}).get(ASLEEP_SINCE)),
        holder=spec.get("holderIdentity") or "",
        created=parse_time(metadata.get("creationTimestamp")),
    )


def parse_time(text: str | None) -> datetime | None:
    """Read RFC 3339 with any number of digits after the second; None for anything else."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
