"""Decides one region: `decide(observed, now) -> RegionPlan`.

Knows the life of a region: suspended, failed, asleep, waking, awake, going to sleep. Each stage is one function that
returns a plan or passes to the next. Does not know objects, requests or clocks.
"""

from collections.abc import Callable
from dataclasses import replace

from voxfleet_operator.decisions.actions import ClearMark, ConfirmAsleep, MarkAsleep, RenewLease
from voxfleet_operator.decisions.capacity.explanation import (
    capacity_message,
    capacity_reason,
    capacity_warnings,
    waits_for_spot_alone,
)
from voxfleet_operator.decisions.capacity.foreign_scaling import report_ends_at, scaling_warnings
from voxfleet_operator.decisions.capacity.pools import divide, next_change_at, spot_state
from voxfleet_operator.decisions.capacity.protection import protections
from voxfleet_operator.decisions.capacity.scaling import clamped, replicas_for_demand
from voxfleet_operator.decisions.capacity.shrinking import next_steps
from voxfleet_operator.decisions.failures import current_failure, detect_failure, waiting_for
from voxfleet_operator.decisions.idle_timers import is_wanted, is_wanted_since, wanted_until
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
    with_present_fallback,
    woken,
)
from voxfleet_operator.decisions.rollouts import NO_FALLBACK, fallback, proven_templates
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.decisions.wake_timing import finished_wake
from voxfleet_operator.decisions.weights import GRACE_SECONDS, current_fetch, has_earlier_weights, missing_weights
from voxfleet_operator.resources import Phase

# When load, which no watch event announces, may have changed: the interval at which gateways are polled by default.
REQUEUE_SECONDS = 5.0

Stage = Callable[[RegionState, float], RegionPlan | None]


def decide(observed: RegionState, now: float) -> RegionPlan:
    """Return the plan of the first stage that has one; the last stage always has."""
    plan = next(plan for stage in STAGES if (plan := stage(observed, now)) is not None)
    plan = with_present_fallback(plan, observed) if observed.replicas > 0 and plan.fallback == NO_FALLBACK else plan
    plan = _with_weights(_with_pools(plan, observed, now), observed, now)
    plan = replace(
        plan,
        # In every phase: a region may fall asleep as soon as the report that explains its wake has arrived.
        last_wake=finished_wake(observed) or observed.last_wake,
        proven_templates=proven_templates(observed),
        warnings=(*plan.warnings, *scaling_warnings(observed)),
        requeue_at=_earliest(plan.requeue_at, observed.changes_at, report_ends_at(observed)),
    )
    if observed.lease is not None and observed.lease.is_clock_ahead:
        text = f"region {observed.name}: a gateway's clock is more than 5 s ahead of the operator's; synchronise clocks"
        plan = replace(plan, warnings=(*plan.warnings, ("ClockSkew", text)))
    return plan


def _with_pools(plan: RegionPlan, observed: RegionState, now: float) -> RegionPlan:
    """Divide the plan's replicas among the pools, take the next step towards them, and say why."""
    targets = divide(plan.replicas, observed.capacity, spot_state(observed, now))
    steps = next_steps(observed, targets, now)
    plan = replace(plan, targets=targets, pools=steps.pools, spot_reclaimed_at=observed.local.spot_reclaimed_at)
    if plan.replicas == 0:
        return plan
    return replace(
        plan,
        message="; ".join(text for text in (_with_capacity(plan, observed, now), *_leaving_texts(observed)) if text),
        actions=(*plan.actions, *steps.actions, *protections(observed, now)),
        warnings=(*plan.warnings, *capacity_warnings(observed, now)),
        requeue_at=_earliest(plan.requeue_at, steps.requeue_at, next_change_at(observed, now)),
    )


def _leaving_texts(observed: RegionState) -> list[str]:
    leaving = ((pod.name, pod.leaving) for pod in observed.active_pods if pod.leaving is not None)
    return [f"pod {name} is being replaced: {why.reason}" for name, why in leaving]


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)


def _with_capacity(plan: RegionPlan, observed: RegionState, now: float) -> str:
    """Return the plan's message and why its replicas are on spot or on demand; while waking without counts."""
    if plan.phase != Phase.WAKING:
        parts = (plan.message, capacity_message(observed, plan.replicas, now))
    else:
        # A pod without a spot node is the reason of the capacity already.
        message = "" if waits_for_spot_alone(observed) else plan.message
        parts = (message, capacity_reason(observed, plan.replicas, now))
    return "; ".join(part for part in parts if part)


def _with_weights(plan: RegionPlan, observed: RegionState, now: float) -> RegionPlan:
    """Add to any plan what concerns weights: the Job, and the earlier weights that serve while it works."""
    plan = replace(plan, fetch=current_fetch(observed, now))
    missing = missing_weights(observed, now)
    if missing is None:
        return plan
    # Running servers have their weights open: a new template would replace them by servers without.
    keeps = has_earlier_weights(observed) or observed.replicas > 0
    plan = replace(plan, awaits_weights=True, keeps_template=keeps)
    check_at = max(missing.retry_at or now + GRACE_SECONDS, now + 1)
    plan = replace(plan, requeue_at=min(check_at, plan.requeue_at or check_at))
    if not missing.is_failing or not keeps:
        return plan
    text = f"region {observed.name} keeps its earlier weights: {missing.message}"
    return replace(plan, warnings=(*plan.warnings, (missing.reason, text)))


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
    return at_zero(observed, Phase.ASLEEP, "Asleep", "")


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
    plan = at_zero(observed, Phase.DRAINING, "Draining", "falling asleep: no request for idleTimeoutSeconds")
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
