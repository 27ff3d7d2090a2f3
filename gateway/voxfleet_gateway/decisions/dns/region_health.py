"""Whether clients are sent to a region: out at the first failure, in again after successes, and then gradually. Pure.

Knows: results of reports, and times. A process that has just started takes regions as healthy: otherwise an engine that
restarts would send every client elsewhere.
Does not know: how a report is fetched, which regions exist.
"""

from dataclasses import dataclass, replace

SUCCESSES_TO_RETURN = 3
RAMP_SECONDS = 60.0
FIRST_ADMISSION = 0.1  # part of its clients that a region gets at once when it returns


@dataclass(frozen=True, slots=True)
class RegionHealth:
    """What is known of one region's health."""

    is_out: bool = False
    successes: int = 0  # in a row, since it is out
    returned_at: float | None = None  # start of the ramp; None: it was never out
    reason: str = ""  # why it is out


def after_success(health: RegionHealth, now: float) -> RegionHealth:
    """Return the health after a good report."""
    if not health.is_out:
        return health
    if health.successes + 1 < SUCCESSES_TO_RETURN:
        return replace(health, successes=health.successes + 1)
    return RegionHealth(returned_at=now)


def after_failure(reason: str) -> RegionHealth:
    """Return the health after a failed, refused or stale report."""
    return RegionHealth(is_out=True, reason=reason)


def admission(health: RegionHealth, now: float) -> float:
    """Return the part of its clients that a region gets: 0 while it is out, growing to 1 after its return."""
    if health.is_out:
        return 0.0
    if health.returned_at is None:
        return 1.0
    done = (now - health.returned_at) / RAMP_SECONDS
    return min(1.0, max(FIRST_ADMISSION, FIRST_ADMISSION + (1 - FIRST_ADMISSION) * done))
