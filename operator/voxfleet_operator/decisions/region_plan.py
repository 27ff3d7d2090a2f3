"""Decides one region: `decide(observed, now) -> RegionPlan`.

Knows the life of a region: suspended, failed, asleep, waking, awake, falling asleep. Each stage is one function that
either answers or passes on. Does not know objects, requests or clocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

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

REQUEUE_SECONDS = 5.0
EPOCH = 0.0


class LeaseAction(StrEnum):
    """What is to be done to the demand Lease."""

    NONE = "none"
    MARK_ASLEEP = "mark asleep"
    CLEAR_MARK = "clear the mark"
    RENEW = "renew to the Ready time"


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """What a region shall be, and why."""

    name: str
    phase: Phase
    replicas: int
    reason: str
    message: str = ""
    woken_at: float | None = None
    woken_reason: str = ""
    lease_action: LeaseAction = LeaseAction.NONE
    renew_to: float | None = None
    awake_until: float | None = None
    last_wake: LastWake | None = None
    failure: Failure | None = None
    retry_after_seconds: int | None = None
    requeue_at: float | None = None
    warnings: tuple[tuple[str, str], ...] = field(default=())


Stage = Callable[[RegionState, float], RegionPlan | None]


def decide(observed: RegionState, now: float) -> RegionPlan:
    """The first stage that has an answer gives it."""
    plan = next(plan for stage in STAGES if (plan := stage(observed, now)) is not None)
    if observed.lease is not None and observed.lease.is_clock_ahead:
        text = f"region {observed.name}: a gateway's clock is more than 5 s ahead of the operator's; synchronise clocks"
        plan = replace(plan, warnings=(*plan.warnings, ("ClockSkew", text)))
    return plan


def _blocked(observed: RegionState, _now: float) -> RegionPlan | None:
    if not observed.blocked_reason:
        return None
    return _resting(observed, Phase.FAILED, "FeatureNotAvailable", observed.blocked_reason)


def _suspended(observed: RegionState, _now: float) -> RegionPlan | None:
    if not observed.is_suspended:
        return None
    if observed.pods:
        return _resting(observed, Phase.DRAINING, "Suspended", "suspended: servers are finishing their requests")
    return _resting(observed, Phase.SUSPENDED, "Suspended", "suspended: set suspend to false to serve again")


def _failing(observed: RegionState, now: float) -> RegionPlan | None:
    """A wake that has just failed."""
    if observed.replicas == 0:
        return None
    failure = detect_failure(observed, now)
    return _failed(observed, failure, now) if failure else None


def _resting_after_failure(observed: RegionState, now: float) -> RegionPlan | None:
    """Failed before: stays down until the back-off is over and somebody asks again."""
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
    if observed.pods:
        return _resting(observed, Phase.DRAINING, "Draining", "falling asleep: servers are finishing")
    return _resting(observed, Phase.ASLEEP, "Asleep", "")


def _waking(observed: RegionState, _now: float) -> RegionPlan | None:
    """Not ready yet: a loading pod is never killed for idleness."""
    if observed.ready_pods:
        return None
    return _running(
        observed,
        Phase.WAKING,
        replicas=clamped(max(observed.replicas, replicas_for_demand(observed.load, observed.policy)), observed.policy),
        reason="Waking",
        message=waiting_for(observed),
        lease_action=_clear_stale_mark(observed),
        requeue_at=observed.local.unready_since + observed.policy.wake_timeout_seconds,
    )


def _just_ready(observed: RegionState, now: float) -> RegionPlan | None:
    """The first ready pod of a wake: the idle clock starts when it can speak, not when it was asked for."""
    wake = finished_wake(observed)
    ready_at = to_seconds(wake.ready_at) if wake else None
    renewed_at = observed.lease.renewed_at if observed.lease else None
    if ready_at is None or observed.lease is None or (renewed_at is not None and renewed_at >= ready_at):
        return None
    if now - ready_at > observed.policy.idle_timeout_seconds:
        return None
    return replace(_awake(observed, now), lease_action=LeaseAction.RENEW, renew_to=ready_at)


def _wanted(observed: RegionState, now: float) -> RegionPlan | None:
    return _awake(observed, now) if is_wanted(observed, now) else None


def _lease_missing(observed: RegionState, now: float) -> RegionPlan | None:
    """Deleted by somebody, or not seen yet: it is applied again, and nobody sleeps without it."""
    return _awake(observed, now) if observed.lease is None else None


def _load_unknown(observed: RegionState, now: float) -> RegionPlan | None:
    """Past the idle time, but nobody can say that nothing is open."""
    gives_up_at = (wanted_until(observed) or EPOCH) + observed.policy.max_unknown_seconds
    if observed.load.is_known or now >= gives_up_at:
        return None
    return replace(_awake(observed, now), requeue_at=min(gives_up_at, now + REQUEUE_SECONDS))


def _watch_was_broken(observed: RegionState, now: float) -> RegionPlan | None:
    """A renewal may have been missed: wait until every gateway would have renewed twice."""
    trusted_at = observed.local.lease_trusted_at
    if now >= trusted_at:
        return None
    return replace(_awake(observed, now), requeue_at=trusted_at)


def _busy(observed: RegionState, now: float) -> RegionPlan | None:
    if not observed.load.is_known or observed.load.is_idle:
        return None
    plan = replace(_awake(observed, now), requeue_at=now + REQUEUE_SECONDS)
    is_marked = observed.lease is not None and observed.lease.asleep_since is not None
    return replace(plan, lease_action=LeaseAction.CLEAR_MARK) if is_marked else plan


def _falling_asleep(observed: RegionState, now: float) -> RegionPlan | None:
    """Step one: the mark on the Lease. A gateway that renews in between wins."""
    if observed.lease is not None and observed.lease.is_marked_asleep:
        return None
    return replace(_awake(observed, now), lease_action=LeaseAction.MARK_ASLEEP, requeue_at=now + REQUEUE_SECONDS)


def _to_zero(observed: RegionState, _now: float) -> RegionPlan:
    """Step two: marked, and nobody objected."""
    return _resting(observed, Phase.DRAINING, "Draining", "falling asleep: nobody spoke for idleTimeoutSeconds")


STAGES: tuple[Stage, ...] = (
    _blocked,
    _suspended,
    _failing,
    _resting_after_failure,
    _asleep,
    _waking,
    _just_ready,
    _wanted,
    _lease_missing,
    _load_unknown,
    _watch_was_broken,
    _busy,
    _falling_asleep,
    _to_zero,
)


def _resting(observed: RegionState, phase: Phase, reason: str, message: str) -> RegionPlan:
    return RegionPlan(observed.name, phase, replicas=0, reason=reason, message=message, last_wake=observed.last_wake)


def _failed(observed: RegionState, failure: Failure, now: float) -> RegionPlan:
    retry_at = to_seconds(failure.retry_at) or EPOCH
    plan = _resting(observed, Phase.FAILED, failure.reason, failure.message)
    return replace(
        plan,
        failure=failure,
        retry_after_seconds=back_off_seconds(failure.count),
        requeue_at=retry_at if retry_at > now else None,
    )


def _woken(observed: RegionState, now: float) -> RegionPlan:
    """From zero: the replicas that demand asks for, and the begin of the wake's ledger."""
    reason = "MinReplicas" if observed.policy.min_replicas > 0 else "RequestHeld"
    return RegionPlan(
        observed.name,
        Phase.WAKING,
        replicas=replicas_for_demand(observed.load, observed.policy),
        reason="Waking",
        message="woken: the Deployment is being scaled up",
        woken_at=now,
        woken_reason=reason,
        lease_action=_clear_stale_mark(observed),
        awake_until=wanted_until(observed),
        last_wake=observed.last_wake,
        failure=current_failure(observed),
        requeue_at=now + observed.policy.wake_timeout_seconds,
    )


def _awake(observed: RegionState, now: float) -> RegionPlan:
    until = wanted_until(observed)
    load = observed.load
    unknown = not load.is_known and now >= observed.local.load_expected_at + SECONDS_UNTIL_STALE
    text = f"region {observed.name}: load unknown, so it stays awake: {load.unknown_reason}"
    plan = _running(
        observed,
        Phase.AWAKE,
        replicas=awake_replicas(observed.replicas, observed.local.peak_replicas, load, observed.policy),
        reason="Awake",
        message="",
        lease_action=_clear_stale_mark(observed),
        requeue_at=until if until is not None and until > now else None,
    )
    never_sleeps = observed.policy.min_replicas > 0
    return replace(
        plan,
        last_wake=finished_wake(observed) or observed.last_wake,
        failure=None,
        awake_until=None if never_sleeps else until,
        warnings=(*((("LoadUnknown", text),) if unknown else ()), *pod_warnings(observed, now)),
    )


def _running(  # noqa: PLR0913 - keyword-only words of one plan
    observed: RegionState,
    phase: Phase,
    *,
    replicas: int,
    reason: str,
    message: str,
    lease_action: LeaseAction,
    requeue_at: float | None,
) -> RegionPlan:
    """A region with replicas keeps the instant and the reason of its wake."""
    workload = observed.workload
    return RegionPlan(
        observed.name,
        phase,
        replicas=replicas,
        reason=reason,
        message=message,
        woken_at=workload.woken_at if workload else None,
        woken_reason=workload.woken_reason if workload else "",
        lease_action=lease_action,
        awake_until=wanted_until(observed),
        last_wake=observed.last_wake,
        failure=current_failure(observed),
        requeue_at=requeue_at,
    )


def _clear_stale_mark(observed: RegionState) -> LeaseAction:
    """Somebody renewed after the mark: it has served its purpose."""
    lease = observed.lease
    is_stale = lease is not None and lease.asleep_since is not None and not lease.is_marked_asleep
    return LeaseAction.CLEAR_MARK if is_stale else LeaseAction.NONE
