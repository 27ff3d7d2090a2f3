"""The stages of a region's life: suspended, failed, asleep, waking, awake, going to sleep, in the order they are asked.

Each is one function that returns a plan or passes to the next. Knows which plan is right for which stage. Does not know
pools, weights and warnings, which are added to any plan (region_plan.py), objects, requests or clocks.
"""

from collections.abc import Callable
from dataclasses import replace

from voxfleet_operator.decisions.actions import ClearMark, ConfirmAsleep, MarkAsleep, RenewLease
from voxfleet_operator.decisions.capacity.scaling import clamped, replicas_for_demand
from voxfleet_operator.decisions.demand.idle_timers import (
    is_wanted,
    is_wanted_since,
    wanted_until,
)
from voxfleet_operator.decisions.demand.wake_timing import finished_wake
from voxfleet_operator.decisions.failures import current_failure, detect_failure, waiting_for
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import (
    EPOCH,
    RegionPlan,
    at_zero,
    awake,
    clear_stale_mark,
    failed,
    fallen_back,
    running,
    woken,
)
from voxfleet_operator.decisions.rollouts import fallback
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.decisions.weights.fetches import GRACE_SECONDS, has_earlier_weights, missing_weights
from voxfleet_operator.resources import Phase

# When load, which no watch event announces, may have changed: the interval at which gateways are polled by default.
REQUEUE_SECONDS = 5.0

Stage = Callable[[RegionState, float], RegionPlan | None]


def _suspended(observed: RegionState, _now: float) -> RegionPlan | None:
    if not observed.is_suspended:
        return None
    if observed.unfinished_pods:
        return at_zero(observed, Phase.DRAINING, "Suspended", "suspended: servers are finishing their requests")
    return at_zero(observed, Phase.SUSPENDED, "Suspended", "suspended: set suspend to false to serve again")


def _without_weights(observed: RegionState, now: float) -> RegionPlan | None:
    """Weights that are fetched before a wake are not there: no server is started for them."""
    missing = missing_weights(observed, now)
    if missing is None or observed.replicas > 0 or has_earlier_weights(observed):
        return None
    if observed.unfinished_pods:
        return at_zero(observed, Phase.DRAINING, "Draining", "falling asleep: servers are finishing")
    if missing.is_failing:
        retry_seconds = int(max(missing.retry_at - now, 1)) if missing.retry_at else int(GRACE_SECONDS)
        plan = at_zero(observed, Phase.FAILED, missing.reason, missing.message)
        return replace(plan, retry_after_seconds=retry_seconds)
    phase = Phase.WAKING if is_wanted(observed, now) else Phase.ASLEEP
    return at_zero(observed, phase, missing.reason, missing.message)


def _failing(observed: RegionState, now: float) -> RegionPlan | None:
    """A wake that fails now: to zero."""
    if observed.replicas == 0:
        return None
    failure = detect_failure(observed, now)
    if failure is not None and fallback(observed, failure).proven:
        # By way of zero: the failed pod may hold the only GPU. Waking, not Failed: held requests are served soon.
        plan = at_zero(observed, Phase.WAKING, "Waking", f"{failure.message}; falling back to the last template")
        return fallen_back(replace(plan, requeue_at=now), observed, failure)
    return failed(observed, failure, now) if failure else None


def _failed_before(observed: RegionState, now: float) -> RegionPlan | None:
    """A wake that failed earlier: stays at zero until the back-off is over and there is new demand."""
    failure = current_failure(observed)
    if observed.replicas > 0 or failure is None:
        return None
    if fallback(observed, failure).proven:
        plan = woken(observed, now) if is_wanted(observed, now) else _at_rest(observed)
        return fallen_back(plan, observed, failure)
    is_due = now >= (to_seconds(failure.retry_at) or EPOCH)
    if is_due and is_wanted_since(observed, to_seconds(failure.failed_at) or EPOCH, now):
        return woken(observed, now)
    return failed(observed, failure, now)


def _asleep(observed: RegionState, now: float) -> RegionPlan | None:
    if observed.replicas > 0:
        return None
    if is_wanted(observed, now):
        return woken(observed, now)
    return _at_rest(observed)


def _at_rest(observed: RegionState) -> RegionPlan:
    if observed.unfinished_pods:
        return at_zero(observed, Phase.DRAINING, "Draining", "falling asleep: servers are finishing")
    asked = observed.lease is not None and observed.lease.is_sleep_requested
    return at_zero(
        observed, Phase.ASLEEP, "Asleep", "asleep as a user asked; the next request wakes it" if asked else ""
    )


def _waking(observed: RegionState, _now: float) -> RegionPlan | None:
    """No pod is ready yet: a loading pod is never deleted for idleness."""
    if observed.ready_pods:
        return None
    # Never fewer than now: a pod that is loading already would be deleted.
    goal = max(observed.planned_replicas, replicas_for_demand(observed.load, observed.autoscaling))
    return running(
        observed,
        Phase.WAKING,
        replicas=clamped(goal, observed.autoscaling),
        reason="Waking",
        message=waiting_for(observed),
        actions=clear_stale_mark(observed),
        requeue_at=observed.local.unready_since + observed.autoscaling.wake_timeout_seconds,
    )


def _just_ready(observed: RegionState, now: float) -> RegionPlan | None:
    """The first ready pod of a wake: the idle timer starts when it can serve, not when it was requested."""
    wake = finished_wake(observed)
    ready_at = to_seconds(wake.ready_at) if wake else None
    renewed_at = observed.lease.renewed_at if observed.lease else None
    if ready_at is None or observed.lease is None or (renewed_at is not None and renewed_at >= ready_at):
        return None
    # A user asked for sleep while it was loading: that renewal would undo it.
    if observed.lease.is_sleep_requested:
        return None
    # A Ready time that is a whole idle timeout ago (an operator that was down) keeps nothing awake.
    if now - ready_at > observed.autoscaling.idle_timeout_seconds:
        return None
    return replace(awake(observed, now), actions=(RenewLease(ready_at),))


def _wanted(observed: RegionState, now: float) -> RegionPlan | None:
    return awake(observed, now) if is_wanted(observed, now) else None


def _lease_missing(observed: RegionState, now: float) -> RegionPlan | None:
    """The Lease was deleted or is not observed yet: it is applied again, and the region stays awake meanwhile."""
    return awake(observed, now) if observed.lease is None else None


def _load_unknown(observed: RegionState, now: float) -> RegionPlan | None:
    """The idle timeout passed, but load is unknown: stays awake for maxUnknownSeconds."""
    gives_up_at = (wanted_until(observed) or EPOCH) + observed.autoscaling.max_unknown_seconds
    if observed.load.is_known or now >= gives_up_at:
        return None
    return replace(awake(observed, now), requeue_at=min(gives_up_at, now + REQUEUE_SECONDS))


def _watch_was_broken(observed: RegionState, now: float) -> RegionPlan | None:
    """A renewal may have been missed: stays awake until every gateway would have renewed twice."""
    trusted_at = observed.local.lease_trusted_at
    if now >= trusted_at:
        return None
    return replace(awake(observed, now), requeue_at=trusted_at)


def _busy(observed: RegionState, now: float) -> RegionPlan | None:
    if not observed.load.is_known or observed.load.is_idle:
        return None
    plan = replace(awake(observed, now), requeue_at=now + REQUEUE_SECONDS)
    # A request that came between mark and zero: the mark must not count when this region is idle again.
    is_marked = observed.lease is not None and observed.lease.asleep_since is not None
    return replace(plan, actions=(ClearMark(),)) if is_marked else plan


def _falling_asleep(observed: RegionState, now: float) -> RegionPlan | None:
    """Step one of two: mark the Lease. A gateway that renews before step two keeps the region awake."""
    if observed.lease is not None and observed.lease.is_marked_asleep:
        return None
    return replace(awake(observed, now), actions=(MarkAsleep(),), requeue_at=now + REQUEUE_SECONDS)


def _not_read_since(observed: RegionState, now: float) -> RegionPlan | None:
    """The mark is newer than the load readings: a request may have come between them and the mark."""
    lease, load = observed.lease, observed.load
    if lease is None or not load.is_known or lease.is_marked_before(load.as_of):
        return None
    return replace(awake(observed, now), requeue_at=now + REQUEUE_SECONDS)


def _to_zero(observed: RegionState, _now: float) -> RegionPlan:
    """Step two of two: the Lease is marked and was not renewed since, which is checked once more before the apply."""
    asked = observed.lease is not None and observed.lease.is_sleep_requested
    why = "a user asked for it" if asked else "no request for idleTimeoutSeconds"
    plan = at_zero(observed, Phase.DRAINING, "Draining", f"falling asleep: {why}")
    return replace(plan, actions=(ConfirmAsleep(),))


# The order matters: what forbids serving comes first, then what a region at zero does, then every reason to stay
# awake; a stage may rely on all earlier ones having passed.
STAGES: tuple[Stage, ...] = (
    _suspended,
    _without_weights,
    _failing,
    _failed_before,
    _asleep,
    _waking,
    _just_ready,
    _wanted,
    _lease_missing,
    _load_unknown,
    _watch_was_broken,
    _busy,
    _falling_asleep,
    _not_read_since,
    _to_zero,
)
