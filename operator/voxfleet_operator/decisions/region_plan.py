"""Decides one region: `decide(observed, now) -> RegionPlan`.

Knows what is added to the plan of any stage: pools, weights, wake times, warnings. Does not know when which stage has a
plan (stages.py), objects, requests or clocks.
"""

from dataclasses import replace

from voxfleet_operator.decisions.capacity.explanation import (
    capacity_message,
    capacity_reason,
    capacity_warnings,
    waits_for_spot_alone,
)
from voxfleet_operator.decisions.capacity.foreign_scaling import report_ends_at, scaling_warnings
from voxfleet_operator.decisions.capacity.pools import divide, next_change_at, spot_state
from voxfleet_operator.decisions.capacity.protection import protections
from voxfleet_operator.decisions.capacity.shrinking import next_steps
from voxfleet_operator.decisions.demand.idle_timers import (
    sleep_request_texts,
)
from voxfleet_operator.decisions.demand.wake_timing import finished_wake, wake_progress
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import (
    RegionPlan,
    with_present_fallback,
)
from voxfleet_operator.decisions.rollouts import NO_FALLBACK, proven_templates
from voxfleet_operator.decisions.stages import STAGES
from voxfleet_operator.decisions.weights.fetches import (
    GRACE_SECONDS,
    current_fetch,
    has_earlier_weights,
    missing_weights,
)
from voxfleet_operator.resources import Phase


def decide(observed: RegionState, now: float) -> RegionPlan:
    """Return the plan of the first stage that has one; the last stage always has."""
    plan = next(plan for stage in STAGES if (plan := stage(observed, now)) is not None)
    plan = with_present_fallback(plan, observed) if observed.replicas > 0 and plan.fallback == NO_FALLBACK else plan
    plan = _with_weights(_with_pools(plan, observed, now), observed, now)
    plan = replace(
        plan,
        # In every phase: a region may fall asleep as soon as the report that explains its wake has arrived.
        last_wake=finished_wake(observed) or observed.last_wake,
        wake=wake_progress(observed, plan.woken_at, plan.woken_reason) if plan.phase == Phase.WAKING else None,
        asleep_since=observed.lease.asleep_since if observed.lease and plan.phase == Phase.ASLEEP else None,
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
        message="; ".join(text for text in _messages(plan, observed, now) if text),
        actions=(*plan.actions, *steps.actions, *protections(observed, now)),
        warnings=(*plan.warnings, *capacity_warnings(observed, now)),
        requeue_at=_earliest(plan.requeue_at, steps.requeue_at, next_change_at(observed, now)),
    )


def _messages(plan: RegionPlan, observed: RegionState, now: float) -> tuple[str, ...]:
    return _with_capacity(plan, observed, now), *_leaving_texts(observed), *sleep_request_texts(observed)


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
