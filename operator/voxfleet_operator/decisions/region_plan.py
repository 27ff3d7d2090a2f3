"""Decides one region: `decide(observed, now) -> RegionPlan`.

Knows the life of a region: suspended, failed, asleep, waking, awake, going to sleep. Each stage is one function that
returns a plan or passes to the next. Does not know objects, requests or clocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voxfleet_operator.decisions.actions import Action, ClearMark, ConfirmAsleep, MarkAsleep, RenewLease
from voxfleet_operator.decisions.capacity.pools import PoolReplicas, divide
from voxfleet_operator.decisions.failures import (
    back_off_seconds,
    current_failure,
    detect_failure,
    pod_warnings,
    waiting_for,
)
from voxfleet_operator.decisions.idle_timers import is_wanted, is_wanted_since, wanted_until
from voxfleet_operator.decisions.observed import SECONDS_UNTIL_STALE, RegionState
from voxfleet_operator.decisions.scaling import awake_replicas, clamped, replicas_for_demand
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.decisions.wake_timing import finished_wake
from voxfleet_operator.resources import Failure, LastWake, Phase

# When load, which no watch event announces, may have changed: the interval at which gateways are polled by default.
REQUEUE_SECONDS = 5.0
EPOCH = 0.0  # stands for an absent timestamp: earlier than everything


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The decision about a region.

    `replicas` are those that shall serve, `pools` those of each Deployment. `actions` are carried out beside the
    objects that are applied; `warnings`: (reason, message); `requeue_at`: when to decide again.
    """

    name: str
    phase: Phase
    replicas: int
    reason: str
    message: str = ""
    woken_at: float | None = None
    woken_reason: str = ""
    pools: PoolReplicas = field(default_factory=PoolReplicas)
    actions: tuple[Action, ...] = ()
    awake_until: float | None = None
    last_wake: LastWake | None = None
    failure: Failure | None = None
    retry_after_seconds: int | None = None
    requeue_at: float | None = None
    warnings: tuple[tuple[str, str], ...] = field(default=())


Stage = Callable[[RegionState, float], RegionPlan | None]


def decide(observed: RegionState, now: float) -> RegionPlan:
    """Return the plan of the first stage that has one; the last stage always has."""
    plan = next(plan for stage in STAGES if (plan := stage(observed, now)) is not None)
    plan = replace(plan, pools=divide(plan.replicas))
    if observed.lease is not None and observed.lease.is_clock_ahead:
        text = f"region {observed.name}: a gateway's clock is more than 5 s ahead of the operator's; synchronise clocks"
        plan = replace(plan, warnings=(*plan.warnings, ("ClockSkew", text)))
    return plan


def _blocked(observed: RegionState, _now: float) -> RegionPlan | None:
    if not observed.blocked_reason:
        return None
    return _at_zero(observed, Phase.FAILED, "FeatureNotAvailable", observed.blocked_reason)


def _suspended(observed: RegionState, _now: float) -> RegionPlan | None:
    if not observed.is_suspended:
        return None
    if observed.unfinished_pods:
        return _at_zero(observed, Phase.DRAINING, "Suspended", "suspended: servers are finishing their requests")
    return _at_zero(observed, Phase.SUSPENDED, "Suspended", "suspended: set suspend to false to serve again")


def _failing(observed: RegionState, now: float) -> RegionPlan | None:
    """A wake that fails now: to zero."""
    if observed.replicas == 0:
        return None
    failure = detect_failure(observed, now)
    return _failed(observed, failure, now) if failure else None


def _failed_before(observed: RegionState, now: float) -> RegionPlan | None:
    """A wake that failed earlier: stays at zero until the back-off is over and there is new demand."""
    failure = current_failure(observed)
    if observed.replicas > 0 or failure is None:
        return None
    is_due = now >= (to_seconds(failure.retry_at) or EPOCH)
    if is_due and is_wanted_since(observed, to_seconds(failure.failed_at) or EPOCH, now):
        return _woken(observed, now)
    return _failed(observed, failure, now)


def _asleep(observed: RegionState, now: float) -> RegionPlan | None:
    if observed.replicas > 0:
        return None
    if is_wanted(observed, now):
        return _woken(observed, now)
    if observed.unfinished_pods:
        return _at_zero(observed, Phase.DRAINING, "Draining", "falling asleep: servers are finishing")
    return _at_zero(observed, Phase.ASLEEP, "Asleep", "")


def _waking(observed: RegionState, _now: float) -> RegionPlan | None:
    """No pod is ready yet: a loading pod is never deleted for idleness."""
    if observed.ready_pods:
        return None
    # Never fewer than now: a pod that is loading already would be deleted.
    goal = max(observed.replicas, replicas_for_demand(observed.load, observed.autoscaling))
    return _running(
        observed,
        Phase.WAKING,
        replicas=clamped(goal, observed.autoscaling),
        reason="Waking",
        message=waiting_for(observed),
        actions=_clear_stale_mark(observed),
        requeue_at=observed.local.unready_since + observed.autoscaling.wake_timeout_seconds,
    )


def _just_ready(observed: RegionState, now: float) -> RegionPlan | None:
    """The first ready pod of a wake: the idle timer starts when it can serve, not when it was requested."""
    wake = finished_wake(observed)
    ready_at = to_seconds(wake.ready_at) if wake else None
    renewed_at = observed.lease.renewed_at if observed.lease else None
    if ready_at is None or observed.lease is None or (renewed_at is not None and renewed_at >= ready_at):
        return None
    # A Ready time that is a whole idle timeout ago (an operator that was down) keeps nothing awake.
    if now - ready_at > observed.autoscaling.idle_timeout_seconds:
        return None
    return replace(_awake(observed, now), actions=(RenewLease(ready_at),))


def _wanted(observed: RegionState, now: float) -> RegionPlan | None:
    return _awake(observed, now) if is_wanted(observed, now) else None


def _lease_missing(observed: RegionState, now: float) -> RegionPlan | None:
    """The Lease was deleted or is not observed yet: it is applied again, and the region stays awake meanwhile."""
    return _awake(observed, now) if observed.lease is None else None


def _load_unknown(observed: RegionState, now: float) -> RegionPlan | None:
    """The idle timeout passed, but load is unknown: stays awake for maxUnknownSeconds."""
    gives_up_at = (wanted_until(observed) or EPOCH) + observed.autoscaling.max_unknown_seconds
    if observed.load.is_known or now >= gives_up_at:
        return None
    return replace(_awake(observed, now), requeue_at=min(gives_up_at, now + REQUEUE_SECONDS))


def _watch_was_broken(observed: RegionState, now: float) -> RegionPlan | None:
    """A renewal may have been missed: stays awake until every gateway would have renewed twice."""
    trusted_at = observed.local.lease_trusted_at
    if now >= trusted_at:
        return None
    return replace(_awake(observed, now), requeue_at=trusted_at)


def _busy(observed: RegionState, now: float) -> RegionPlan | None:
    if not observed.load.is_known or observed.load.is_idle:
        return None
    plan = replace(_awake(observed, now), requeue_at=now + REQUEUE_SECONDS)
    # A request that came between mark and zero: the mark must not count when this region is idle again.
    is_marked = observed.lease is not None and observed.lease.asleep_since is not None
    return replace(plan, actions=(ClearMark(),)) if is_marked else plan


def _falling_asleep(observed: RegionState, now: float) -> RegionPlan | None:
    """Step one of two: mark the Lease. A gateway that renews before step two keeps the region awake."""
    if observed.lease is not None and observed.lease.is_marked_asleep:
        return None
    return replace(_awake(observed, now), actions=(MarkAsleep(),), requeue_at=now + REQUEUE_SECONDS)


def _not_read_since(observed: RegionState, now: float) -> RegionPlan | None:
    """The mark is newer than the load readings: a request may have come between them and the mark."""
    lease, load = observed.lease, observed.load
    if lease is None or not load.is_known or lease.is_marked_before(load.as_of):
        return None
    return replace(_awake(observed, now), requeue_at=now + REQUEUE_SECONDS)


def _to_zero(observed: RegionState, _now: float) -> RegionPlan:
    """Step two of two: the Lease is marked and was not renewed since, which is checked once more before the apply."""
    plan = _at_zero(observed, Phase.DRAINING, "Draining", "falling asleep: no request for idleTimeoutSeconds")
    return replace(plan, actions=(ConfirmAsleep(),))


# The order matters: what forbids serving comes first, then what a region at zero does, then every reason to stay
# awake; a stage may rely on all earlier ones having passed.
STAGES: tuple[Stage, ...] = (
    _blocked,
    _suspended,
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


def _at_zero(observed: RegionState, phase: Phase, reason: str, message: str) -> RegionPlan:
    return RegionPlan(observed.name, phase, replicas=0, reason=reason, message=message, last_wake=observed.last_wake)


def _failed(observed: RegionState, failure: Failure, now: float) -> RegionPlan:
    # Once retry_at has passed only a renewal matters, and that is an event: nothing to requeue for.
    retry_at = to_seconds(failure.retry_at) or EPOCH
    plan = _at_zero(observed, Phase.FAILED, failure.reason, failure.message)
    return replace(
        plan,
        failure=failure,
        retry_after_seconds=back_off_seconds(failure.count),
        requeue_at=retry_at if retry_at > now else None,
    )


def _woken(observed: RegionState, now: float) -> RegionPlan:
    """From zero to the replicas that demand asks for; `woken_at` starts the timing of the wake."""
    reason = "MinReplicas" if observed.autoscaling.min_replicas > 0 else "RequestHeld"
    return RegionPlan(
        observed.name,
        Phase.WAKING,
        replicas=replicas_for_demand(observed.load, observed.autoscaling),
        reason="Waking",
        message="woken: the Deployment is being scaled up",
        woken_at=now,
        woken_reason=reason,
        actions=_clear_stale_mark(observed),
        awake_until=wanted_until(observed),
        last_wake=observed.last_wake,
        failure=current_failure(observed),
        requeue_at=now + observed.autoscaling.wake_timeout_seconds,
    )


def _awake(observed: RegionState, now: float) -> RegionPlan:
    until = wanted_until(observed)
    load = observed.load
    # Just after a start or a wake no reading has arrived yet: no warning before one is overdue.
    is_overdue = not load.is_known and now >= observed.local.load_expected_at + SECONDS_UNTIL_STALE
    text = f"region {observed.name}: load unknown, so it stays awake: {load.unknown_reason}"
    plan = _running(
        observed,
        Phase.AWAKE,
        replicas=awake_replicas(observed.replicas, observed.local.peak_replicas, load, observed.autoscaling),
        reason="Awake",
        message="",
        actions=_clear_stale_mark(observed),
        requeue_at=until if until is not None and until > now else None,
    )
    never_sleeps = observed.autoscaling.min_replicas > 0
    return replace(
        plan,
        last_wake=finished_wake(observed) or observed.last_wake,
        failure=None,
        awake_until=None if never_sleeps else until,
        warnings=(*((("LoadUnknown", text),) if is_overdue else ()), *pod_warnings(observed, now)),
    )


def _running(  # noqa: PLR0913 - keyword-only fields of one plan
    observed: RegionState,
    phase: Phase,
    *,
    replicas: int,
    reason: str,
    message: str,
    actions: tuple[Action, ...],
    requeue_at: float | None,
) -> RegionPlan:
    """Return a plan with replicas; it keeps the start and the reason of the wake, which the Deployments record."""
    return RegionPlan(
        observed.name,
        phase,
        replicas=replicas,
        reason=reason,
        message=message,
        woken_at=observed.woken_at,
        woken_reason=observed.woken_reason,
        actions=actions,
        awake_until=wanted_until(observed),
        last_wake=observed.last_wake,
        failure=current_failure(observed),
        requeue_at=requeue_at,
    )


def _clear_stale_mark(observed: RegionState) -> tuple[Action, ...]:
    """Clear a mark that a later renewal has made void."""
    lease = observed.lease
    is_stale = lease is not None and lease.asleep_since is not None and not lease.is_marked_asleep
    return (ClearMark(),) if is_stale else ()
