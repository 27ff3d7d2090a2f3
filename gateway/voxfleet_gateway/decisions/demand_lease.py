"""When a region's demand Lease is renewed, and to what time. Pure.

Knows: the sleep protocol between gateways and operator. A renewal says that the region is wanted; the operator's
annotation `asleep-since` says that it is about to scale the region to zero. A gateway that reads the annotation renews
first and sends requests after that.
Does not know: how a Lease is patched; which requests arrive; clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

ASLEEP_SINCE = "voxfleet.dev/asleep-since"
SLEEP_AT = "voxfleet.dev/sleep-at"  # a user asks for sleep before the idle timeout; void once renewTime is later

TICK = timedelta(microseconds=1)  # resolution of Kubernetes' MicroTime, which a Lease's renewTime is
MOST_SKEW = timedelta(seconds=60)  # between the clocks of two writers of one Lease
LONGEST_PERIOD_SECONDS = 30.0
MIN_GAP_SECONDS = 1.0  # between two renewals of one Lease, unless a request waits for the second


@dataclass(frozen=True, slots=True)
class Lease:
    """The fields of a demand Lease that gateways read."""

    namespace: str
    name: str
    resource_version: str
    duration_seconds: float
    renew_time: datetime | None = None
    asleep_since: datetime | None = None
    sleep_at: datetime | None = None
    holder: str = ""
    created: datetime | None = None

    @property
    def is_falling_asleep(self) -> bool:
        """Whether the operator has marked the region asleep and no gateway has renewed since."""
        if self.asleep_since is None:
            return False
        return self.renew_time is None or self.renew_time <= self.asleep_since

    def is_sleep_asked_at(self, now: datetime) -> bool:
        """Whether a user has asked for sleep and no gateway has renewed since; a later time asks nothing yet."""
        if self.sleep_at is None or self.sleep_at > now + MOST_SKEW:
            return False
        return self.renew_time is None or self.renew_time <= self.sleep_at

    def is_wanted_at(self, now: datetime) -> bool:
        """Whether the Lease, as it stands, keeps its region awake."""
        if self.renew_time is None or self.is_falling_asleep or self.is_sleep_asked_at(now):
            return False
        return now < self.renew_time + timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Activity:
    """What this gateway does with a region at the moment."""

    held: int = 0
    open: int = 0
    is_wake_requested: bool = False  # by a request that found the region asleep, or by POST /v1/models/{model}/wake
    last_finished: datetime | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is held for the region or open there."""
        return self.held + self.open > 0


def renewal_period_seconds(duration_seconds: float) -> float:
    """Return how often a Lease is renewed while its region is busy."""
    return min(LONGEST_PERIOD_SECONDS, duration_seconds / 3)


def renewal_reason(lease: Lease, activity: Activity, now: datetime, *, is_stopping: bool = False) -> str | None:
    """Return why the Lease is renewed now (wake, active, stopping, finished); None when it is not."""
    if not lease.is_wanted_at(now) and (activity.is_wake_requested or activity.is_busy):
        return "wake"
    age_seconds = float("inf") if lease.renew_time is None else (now - lease.renew_time).total_seconds()
    if age_seconds < MIN_GAP_SECONDS:
        return None
    if activity.is_wake_requested and age_seconds >= renewal_period_seconds(lease.duration_seconds):
        return "wake"  # wanted and yet not awake: after a failed wake only new demand starts the next try
    if activity.is_busy:
        due = is_stopping or age_seconds >= renewal_period_seconds(lease.duration_seconds)
        return ("stopping" if is_stopping else "active") if due else None
    return "finished" if _is_end_unreported(lease, activity) else None


def _is_end_unreported(lease: Lease, activity: Activity) -> bool:
    """Whether the last request ended after the last renewal, so that the Lease does not count it yet."""
    if activity.last_finished is None:
        return False
    # A request that ended before the Lease was created belonged to an earlier resource of the same name.
    if lease.created is not None and activity.last_finished < lease.created:
        return False
    return lease.renew_time is None or activity.last_finished > lease.renew_time


def next_renew_time(lease: Lease, now: datetime) -> datetime:
    """Return now, but later than renewTime and `asleep-since`, whatever the clocks of the writers say."""
    marks = (lease.renew_time, lease.asleep_since, lease.sleep_at if lease.is_sleep_asked_at(now) else None)
    floors = [moment + TICK for moment in marks if moment is not None]
    return max([now, *floors])


def renewal_patch(lease: Lease, now: datetime, holder: str) -> dict[str, Any]:
    """Return a merge patch; its resourceVersion makes the API server answer 409 if the Lease has changed since."""
    return {
        "metadata": {"resourceVersion": lease.resource_version},
        "spec": {"renewTime": format_time(next_renew_time(lease, now)), "holderIdentity": holder},
    }


def sleep_patch(lease: Lease, activity: Activity, now: datetime) -> dict[str, Any]:
    """Return a merge patch that asks the operator to let the region sleep now.

    The end of a request that the Lease does not count yet is reported with it: a later renewal would void it.
    """
    patch: dict[str, Any] = {
        "metadata": {
            "resourceVersion": lease.resource_version,
            "annotations": {SLEEP_AT: format_time(next_renew_time(lease, now))},
        }
    }
    if activity.last_finished is not None and _is_end_unreported(lease, activity):
        patch["spec"] = {"renewTime": format_time(min(activity.last_finished, now))}
    return patch


def parse_lease(raw: Mapping[str, Any]) -> Lease:
    """Read a Lease from the API server's JSON."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    return Lease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
        renew_time=parse_time(spec.get("renewTime")),
        asleep_since=parse_time((metadata.get("annotations") or {}).get(ASLEEP_SINCE)),
        sleep_at=parse_time((metadata.get("annotations") or {}).get(SLEEP_AT)),
        holder=spec.get("holderIdentity") or "",
        created=parse_time(metadata.get("creationTimestamp")),
    )


def parse_time(text: str | None) -> datetime | None:
    """Read an RFC 3339 time with any number of fractional digits; return None for anything else."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Return the time as Kubernetes' MicroTime: RFC 3339 in UTC with six fractional digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
