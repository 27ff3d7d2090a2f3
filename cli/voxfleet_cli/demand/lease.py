"""What is written to a demand Lease. Pure.

Knows: the protocol between users, gateways and operator: a renewal wakes and keeps awake; the annotation `sleep-at`
puts to sleep, and is void once a renewal is later.
Does not know: how a Lease is found or patched; clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SLEEP_AT = "voxfleet.dev/sleep-at"
ASLEEP_SINCE = "voxfleet.dev/asleep-since"
HOLDER = "voxfleet-cli"
TICK = timedelta(microseconds=1)  # the resolution of renewTime


@dataclass(frozen=True, slots=True)
class DemandLease:
    """The fields of a demand Lease that commands read."""

    name: str
    resource_version: str
    duration_seconds: float = 0.0
    renewed_at: datetime | None = None
    asleep_since: datetime | None = None
    sleep_at: datetime | None = None

    @property
    def is_sleep_requested(self) -> bool:
        """Whether sleep was asked for, and no renewal came after that."""
        return self.sleep_at is not None and (self.renewed_at is None or self.renewed_at <= self.sleep_at)


def parse_lease(raw: Mapping[str, Any]) -> DemandLease:
    """Read a Lease from the API server's JSON."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return DemandLease(
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
        renewed_at=parse_time(spec.get("renewTime")),
        asleep_since=parse_time(annotations.get(ASLEEP_SINCE)),
        sleep_at=parse_time(annotations.get(SLEEP_AT)),
    )


def renewal_patch(lease: DemandLease, now: datetime) -> dict[str, Any]:
    """Return the merge patch of a renewal: now, but later than everything that it has to void."""
    floors = [moment + TICK for moment in (lease.renewed_at, lease.asleep_since, lease.sleep_at) if moment is not None]
    spec = {"renewTime": format_time(max([now, *floors])), "holderIdentity": HOLDER}
    return {"metadata": {"resourceVersion": lease.resource_version}, "spec": spec}


def sleep_patch(lease: DemandLease, now: datetime) -> dict[str, Any]:
    """Return the merge patch that asks for sleep: now, but no earlier than the last renewal, which would void it."""
    sleep_at = format_time(max(now, lease.renewed_at or now))
    return {"metadata": {"resourceVersion": lease.resource_version, "annotations": {SLEEP_AT: sleep_at}}}


def parse_time(text: str | None) -> datetime | None:
    """Read an RFC 3339 time; None for anything else."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Return the time as Kubernetes' MicroTime: UTC with six fractional digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
