"""The idle clock: until when a region is wanted, and when its Lease may be believed.

Knows the protocol of the demand Lease. Does not read a clock and does not change anything.
"""

from voxfleet_operator.decisions.observed import RegionState

CLOCK_SKEW_SECONDS = 5.0
LONGEST_RENEWAL_PERIOD_SECONDS = 30.0


def renewal_period(idle_timeout_seconds: float) -> float:
    """How often a gateway renews while it has requests."""
    return min(LONGEST_RENEWAL_PERIOD_SECONDS, idle_timeout_seconds / 3)


def clamp_renewal(renewed_at: float | None, first_seen_at: float) -> tuple[float | None, bool]:
    """The renewal freed from a clock that runs ahead: then it counts as the moment it was first seen."""
    if renewed_at is None or renewed_at <= first_seen_at + CLOCK_SKEW_SECONDS:
        return renewed_at, False
    return first_seen_at, True


def wanted_until(observed: RegionState) -> float | None:
    """The persisted idle clock: last sign of demand plus the idle timeout; None when nobody ever asked."""
    lease = observed.lease
    if lease is not None and lease.is_marked_asleep and observed.replicas == 0:
        return None
    signs = [lease.renewed_at if lease else None]
    # Only a Lease wakes. What gateways remember of finished requests may be of an earlier resource of this name.
    if observed.workload and observed.replicas > 0:
        signs += [observed.load.last_request_finished_at, observed.workload.woken_at]
    known = [sign for sign in signs if sign is not None]
    if not known and observed.replicas > 0:
        # Scaled up by other hands: it is given one idle timeout from when this process first saw it ready.
        known = [observed.local.load_expected_at]
    return max(known) + observed.policy.idle_timeout_seconds if known else None


def is_wanted(observed: RegionState, now: float) -> bool:
    """Whether somebody wants this region now, or it never sleeps."""
    if observed.policy.min_replicas > 0:
        return True
    until = wanted_until(observed)
    return until is not None and now < until


def is_wanted_since(observed: RegionState, instant: float, now: float) -> bool:
    """Whether the demand is newer than an instant: what failed is tried again for new demand only."""
    if observed.policy.min_replicas > 0:
        return True
    renewed_at = observed.lease.renewed_at if observed.lease else None
    return renewed_at is not None and renewed_at > instant and is_wanted(observed, now)
