"""The plan of one region, and the plans that its stages choose from: at zero, failed, woken, running, awake.

Knows what each of them consists of. Does not know when one is right (stages.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from voxfleet_operator.decisions.actions import Action, ClearMark
from voxfleet_operator.decisions.capacity.pools import PoolReplicas
from voxfleet_operator.decisions.capacity.scaling import awake_replicas, replicas_for_demand
from voxfleet_operator.decisions.demand.idle_timers import wanted_until
from voxfleet_operator.decisions.demand.wake_timing import WakeProgress
from voxfleet_operator.decisions.failures import back_off_seconds, current_failure, pod_warnings
from voxfleet_operator.decisions.observed import SECONDS_UNTIL_STALE, RegionState
from voxfleet_operator.decisions.rollouts import NO_FALLBACK, Fallback, fallback, is_in_use
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.decisions.weights.fetches import Fetch
from voxfleet_operator.resources import Failure, LastWake, Phase

WOKEN_BY_REQUEST = "RequestHeld"  # why a region was woken: by a gateway's renewal, where minReplicas asks for none
EPOCH = 0.0  # stands for an absent timestamp: earlier than everything


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The decision about a region.

    `replicas` are those that shall serve, `targets` those of each pool, `pools` those of its Deployment, which has more
    while pods leave. `actions` are carried out beside the objects that are applied; `warnings`: (reason, message);
    `requeue_at`: when to decide again; `spot_reclaimed_at`, `proven_templates`: the newest reclaim, and the templates
    that worked, to be recorded. `fetch`: the Job that fetches weights; while they are awaited the earlier ones are
    kept, with the pod template that reads them. `wake` and `asleep_since` are shown by the gateways' fleet page.
    """

    name: str
    phase: Phase
    replicas: int
    reason: str
    message: str = ""
    woken_at: float | None = None
    woken_reason: str = ""
    targets: PoolReplicas = field(default_factory=PoolReplicas)
    pools: PoolReplicas = field(default_factory=PoolReplicas)
    spot_reclaimed_at: float | None = None
    actions: tuple[Action, ...] = ()
    awake_until: float | None = None
    last_wake: LastWake | None = None
    wake: WakeProgress | None = None
    asleep_since: float | None = None
    failure: Failure | None = None
    fallback: Fallback = NO_FALLBACK
    proven_templates: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: int | None = None
    requeue_at: float | None = None
    warnings: tuple[tuple[str, str], ...] = field(default=())
    fetch: Fetch | None = None
    awaits_weights: bool = False
    keeps_template: bool = False

    @property
    def is_on_demand(self) -> bool:
        """Whether its replicas were asked for by a request, which gateways hold, and not by minReplicas."""
        return self.woken_reason == WOKEN_BY_REQUEST


def at_zero(observed: RegionState, phase: Phase, reason: str, message: str) -> RegionPlan:
    """Return a plan without replicas."""
    return RegionPlan(observed.name, phase, replicas=0, reason=reason, message=message)


def fallen_back(plan: RegionPlan, observed: RegionState, failure: Failure) -> RegionPlan:
    """Return a plan with the templates that worked before a failed wake, until the spec changes."""
    text = (
        f"region {observed.name} uses the last template that worked, because generation {failure.generation} failed at"
        f" a wake ({failure.reason}): {failure.message}. Correct the spec; any change of it is tried at once"
    )
    chosen = fallback(observed, failure)
    return replace(plan, failure=failure, fallback=chosen, warnings=(*plan.warnings, ("FellBack", text)))


def with_present_fallback(plan: RegionPlan, observed: RegionState) -> RegionPlan:
    """Return the plan of a running region with the fallback that its Deployments use already."""
    failure = current_failure(observed)
    if failure is None or not is_in_use(fallback(observed, failure), observed):
        return plan
    return fallen_back(plan, observed, failure)


def failed(observed: RegionState, failure: Failure, now: float) -> RegionPlan:
    """Return a plan without replicas, for as long as the back-off of a failed wake lasts and no request comes."""
    # Once retry_at has passed only a renewal matters, and that is an event: nothing to requeue for.
    retry_at = to_seconds(failure.retry_at) or EPOCH
    plan = at_zero(observed, Phase.FAILED, failure.reason, failure.message)
    return replace(
        plan,
        failure=failure,
        retry_after_seconds=back_off_seconds(failure.count),
        requeue_at=retry_at if retry_at > now else None,
    )


def woken(observed: RegionState, now: float) -> RegionPlan:
    """From zero to the replicas that demand asks for; `woken_at` starts the timing of the wake."""
    reason = "MinReplicas" if observed.autoscaling.min_replicas > 0 else WOKEN_BY_REQUEST
    return RegionPlan(
        observed.name,
        Phase.WAKING,
        replicas=replicas_for_demand(observed.load, observed.autoscaling),
        reason="Waking",
        message="woken: the Deployment is being scaled up",
        woken_at=now,
        woken_reason=reason,
        actions=clear_stale_mark(observed),
        awake_until=wanted_until(observed),
        failure=current_failure(observed),
        requeue_at=now + observed.autoscaling.wake_timeout_seconds,
    )


def awake(observed: RegionState, now: float) -> RegionPlan:
    """Return the plan of a region that serves, with the replicas that demand asks for."""
    until = wanted_until(observed)
    load = observed.load
    # Just after a start or a wake no reading has arrived yet: no warning before one is overdue.
    is_overdue = not load.is_known and now >= observed.local.load_expected_at + SECONDS_UNTIL_STALE
    text = f"region {observed.name}: load unknown, so it stays awake: {load.unknown_reason}"
    plan = running(
        observed,
        Phase.AWAKE,
        replicas=awake_replicas(observed.planned_replicas, observed.local.peak_replicas, load, observed.autoscaling),
        reason="Awake",
        message="",
        actions=clear_stale_mark(observed),
        requeue_at=until if until is not None and until > now else None,
    )
    never_sleeps = observed.autoscaling.min_replicas > 0
    return replace(
        plan,
        failure=None,
        awake_until=None if never_sleeps else until,
        warnings=(*((("LoadUnknown", text),) if is_overdue else ()), *pod_warnings(observed, now)),
    )


def running(  # noqa: PLR0913 - keyword-only fields of one plan
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
        failure=current_failure(observed),
        requeue_at=requeue_at,
    )


def clear_stale_mark(observed: RegionState) -> tuple[Action, ...]:
    """Return the action that clears a mark, and a user's `sleep-at`, which a later renewal has made void."""
    lease = observed.lease
    if lease is None:
        return ()
    is_stale = lease.asleep_since is not None and not lease.is_marked_asleep
    is_void = lease.sleep_at is not None and not lease.is_sleep_requested
    return (ClearMark(with_sleep_request=is_void),) if is_stale or is_void else ()
