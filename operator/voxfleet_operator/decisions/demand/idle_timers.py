"""The idle timer of a region: until when it is wanted, and which renewal of its Lease counts.

Knows the protocol of the demand Lease. Reads no clock and changes nothing.
"""

from voxfleet_operator.decisions.observed import RegionState

# Clocks kept by NTP differ by far less; the design names this tolerance.
CLOCK_SKEW_SECONDS = 5.0
LONGEST_RENEWAL_PERIOD_SECONDS = 30.0


def renewal_period(idle_timeout_seconds: float) -> float:
    """Return how often a gateway renews the Lease while it has requests, in seconds (the gateway's rule too)."""
    return min(LONGEST_RENEWAL_PERIOD_SECONDS, idle_timeout_seconds / 3)


def clamp_renewal(renewed_at: float | None, received_at: float) -> tuple[float | None, bool]:
    """Return a renewal limited to the time of its receipt, and whether its writer's clock is ahead.

    A renewal up to 5 s ahead is taken as written.
    """
    if renewed_at is None or renewed_at <= received_at + CLOCK_SKEW_SECONDS:
        return renewed_at, False
    return received_at, True


def wanted_until(observed: RegionState) -> float | None:
    """Return the last sign of demand plus the idle timeout; None when there was no demand yet.

    A user's request for sleep that is newer than every sign ends it at once.
    """
    lease = observed.lease
    if lease is not None and lease.is_marked_asleep and observed.replicas == 0:
        return None
    signs = [lease.renewed_at if lease else None]
    # Only a Lease wakes a region at zero: a request that gateways remember as finished may have been served by an
    # earlier resource of the same name.
    if observed.replicas > 0:
        signs += [observed.load.last_request_finished_at, observed.woken_at]
    known = [sign for sign in signs if sign is not None]
    if not known and observed.replicas > 0:
        # Scaled up by hand: it gets one idle timeout from when this process first observed a ready pod.
        known = [observed.local.load_expected_at]
    if not known:
        return None
    until = max(known) + observed.autoscaling.idle_timeout_seconds
    sleep_at = lease.sleep_at if lease is not None and lease.is_sleep_requested else None
    # A request that a gateway has seen to its end, and whose renewal is on its way, is demand after the user's too.
    return until if sleep_at is None or max(known) > sleep_at else min(until, sleep_at)


def is_wanted(observed: RegionState, now: float) -> bool:
    """Whether the region shall be awake: minReplicas is above 0, or its idle timeout has not passed."""
    if observed.autoscaling.min_replicas > 0:
        return True
    until = wanted_until(observed)
    return until is not None and now < until


def sleep_request_texts(observed: RegionState) -> list[str]:
    """Return why a region with replicas does not sleep although a user asked for it; empty when nothing keeps it."""
    if observed.lease is None or not observed.lease.is_sleep_requested:
        return []
    if (least := observed.autoscaling.min_replicas) > 0:
        return [
            f"voxfleet.dev/sleep-at has no effect: minReplicas is {least} at present, and such a region never sleeps"
        ]
    if not observed.load.is_known:
        return [f"asked to sleep, and waits for load readings: {observed.load.unknown_reason}"]
    return (
        [] if observed.load.is_idle else [f"asked to sleep, and waits for {observed.load.demand} open or held requests"]
    )


def is_wanted_since(observed: RegionState, instant: float, now: float) -> bool:
    """Whether there is demand newer than an instant: a failed wake is retried for new demand only."""
    if observed.autoscaling.min_replicas > 0:
        return True
    renewed_at = observed.lease.renewed_at if observed.lease else None
    return renewed_at is not None and renewed_at > instant and is_wanted(observed, now)
