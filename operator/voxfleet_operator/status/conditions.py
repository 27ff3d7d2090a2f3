"""Builds the conditions of a resource from its plan and problems.

Knows which state gives which condition which reason of the table (reasons.py). Does not know how regions are decided.
Conditions follow the Kubernetes API conventions and kstatus.
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Condition, Phase
from voxfleet_operator.status.condition_types import DEGRADED, READY, RECONCILING, STALLED, VERIFIED
from voxfleet_operator.status.problem_reasons import PROBLEMS
from voxfleet_operator.status.reasons import REASONS

# Objects are missing or outdated: not Ready, and Stalled only when retries do not mend it.
BLOCKING = ("ApplyFailed", "NameTaken")
# A region that is Failed for one of these is mended without a change of the spec or a new request.
PASSING = ("ClusterUnreachable",)
SEVERITY = tuple(PROBLEMS)
DELETING = {READY: "False", RECONCILING: "True"}  # while a deleted resource waits for remote clusters
LONGEST_MESSAGE = 4096  # characters, the CRD's limit; metav1.Condition itself allows 32768


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason of the table, and a message for the user; `is_lasting`: a retry alone does not mend it.

    `blocks`: objects are missing or outdated, whatever the reason.
    """

    reason: str
    message: str
    is_lasting: bool = False
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class ConditionState:
    """A condition without generation and time of transition."""

    type: str
    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConditionInput:
    """What conditions depend on: the plan, problems, and whether this generation is verified."""

    plan: ResourcePlan
    problems: tuple[Problem, ...] = ()
    is_verified: bool = False

    @property
    def plans(self) -> tuple[RegionPlan, ...]:
        """The plans of all regions."""
        return tuple(self.plan.regions.values())


def conditions(given: ConditionInput, previous: tuple[Condition, ...], generation: int, now: float) -> list[Condition]:
    """Return all conditions; the time of the last transition is kept while `status` stays the same."""
    states = (_ready(given), _verified(given), _reconciling(given), _stalled(given), _degraded(given))
    before = {condition.type: condition for condition in previous}
    return [_condition(state, before.get(state.type), generation, now) for state in states]


def paused_conditions(previous: tuple[Condition, ...], generation: int, now: float) -> list[Condition]:
    """Return the previous conditions with Reconciling False, reason Paused."""
    state = ConditionState(RECONCILING, "False", "Paused", REASONS["Paused"].message)
    before = {condition.type: condition for condition in previous}
    paused = _condition(state, before.get(RECONCILING), generation, now)
    return [condition for condition in previous if condition.type != RECONCILING] + [paused]


def deleting_conditions(previous: tuple[Condition, ...], left: str, generation: int, now: float) -> list[Condition]:
    """Return the previous conditions with Ready False and Reconciling True: remote clusters are not clean yet."""
    states = {kind: ConditionState(kind, status, "RemoteCleanup", left) for kind, status in DELETING.items()}
    before = {condition.type: condition for condition in previous}
    changed = [_condition(state, before.get(kind), generation, now) for kind, state in states.items()]
    return changed + [condition for condition in previous if condition.type not in states]


def summary(given: ConditionInput) -> str:
    """Return the one line that `kubectl get -o wide` shows: what is degraded, if all is ready."""
    ready, degraded = _ready(given), _degraded(given)
    return degraded.message if ready.status == "True" and degraded.status == "True" else ready.message


def _condition(state: ConditionState, before: Condition | None, generation: int, now: float) -> Condition:
    is_same = before is not None and before.status == state.status
    return Condition(
        type=state.type,
        status=state.status,
        reason=state.reason,
        message=state.message[:LONGEST_MESSAGE],
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and is_same else to_rfc3339(now),
    )


def _ready(given: ConditionInput) -> ConditionState:
    blocking = _blocking(given, is_lasting=True) or _blocking(given, is_lasting=False)
    if blocking:
        return ConditionState(READY, "False", blocking.reason, blocking.message)
    # A failed region before a starting one: it is the more severe reason.
    starting = (plan for plan in given.plans if plan.phase == Phase.WAKING and not plan.is_on_demand)
    not_ready = next((plan for plan in given.plans if plan.phase == Phase.FAILED), None) or next(starting, None)
    if not_ready is not None:
        return ConditionState(READY, "False", not_ready.reason, _of_region(not_ready))
    if all(plan.phase == Phase.SUSPENDED for plan in given.plans):
        return ConditionState(READY, "True", "Suspended", REASONS["Suspended"].message)
    if any(plan.phase == Phase.AWAKE for plan in given.plans):
        return ConditionState(READY, "True", "Serving", _awake_of(given.plans))
    # It serves: gateways hold the requests that wake it. No alarm, and no tool that waits, may see a wake as a failure.
    waking = next((plan for plan in given.plans if plan.phase == Phase.WAKING), None)
    if waking is not None:
        return ConditionState(READY, "True", waking.reason, _of_region(waking))
    return ConditionState(READY, "True", "Asleep", "every region is asleep; the next request wakes one")


def _verified(given: ConditionInput) -> ConditionState:
    if given.is_verified:
        return ConditionState(VERIFIED, "True", "WakeSucceeded", REASONS["WakeSucceeded"].message)
    failed = next((plan for plan in given.plans if plan.failure is not None), None)
    if failed is not None and failed.failure is not None:
        message = f"region {failed.name}: {failed.failure.message}"
        return ConditionState(VERIFIED, "False", failed.failure.reason, message)
    return ConditionState(VERIFIED, "Unknown", "NotYetWoken", REASONS["NotYetWoken"].message)


def _reconciling(given: ConditionInput) -> ConditionState:
    retried = _blocking(given, is_lasting=False)
    if retried:
        return ConditionState(RECONCILING, "True", retried.reason, retried.message)
    for plan in given.plans:
        if plan.phase in (Phase.WAKING, Phase.DRAINING):
            return ConditionState(RECONCILING, "True", str(plan.phase), _of_region(plan))
    return ConditionState(RECONCILING, "False", "Settled", REASONS["Settled"].message)


# kstatus reads Stalled=True as failed: Flux and Argo CD stop waiting, so a passing error must not set it.
def _stalled(given: ConditionInput) -> ConditionState:
    blocking = _blocking(given, is_lasting=True)
    if blocking:
        return ConditionState(STALLED, "True", blocking.reason, blocking.message)
    failed = next((plan for plan in given.plans if plan.phase == Phase.FAILED and plan.reason not in PASSING), None)
    if failed is not None:
        return ConditionState(STALLED, "True", failed.reason, _of_region(failed))
    return ConditionState(STALLED, "False", "Settled", REASONS["Settled"].message)


def _degraded(given: ConditionInput) -> ConditionState:
    warnings = [Problem(*warning) for plan in given.plans for warning in plan.warnings]
    found = sorted([*given.problems, *warnings], key=_severity)
    if not found:
        return ConditionState(DEGRADED, "False", "AsExpected", REASONS["AsExpected"].message)
    return ConditionState(DEGRADED, "True", found[0].reason, "; ".join(problem.message for problem in found))


def _severity(problem: Problem) -> int:
    return SEVERITY.index(problem.reason) if problem.reason in SEVERITY else len(SEVERITY)


def _blocking(given: ConditionInput, *, is_lasting: bool) -> Problem | None:
    found = (
        each for each in given.problems if (each.blocks or each.reason in BLOCKING) and each.is_lasting == is_lasting
    )
    return next(found, None)


def _of_region(plan: RegionPlan) -> str:
    # "tried again on demand from": the back-off ends then, but only a request starts the next wake.
    retry = f" (tried again on demand from {plan.failure.retry_at})" if plan.failure and plan.replicas == 0 else ""
    return f"region {plan.name}: {plan.message}{retry}"


def _awake_of(plans: tuple[RegionPlan, ...]) -> str:
    awake = [plan.name for plan in plans if plan.phase == Phase.AWAKE]
    waking = [f"; {plan.name} is waking" for plan in plans if plan.phase == Phase.WAKING]
    others = "; the other regions are asleep" if len(awake) + len(waking) < len(plans) else ""
    return f"serving in {', '.join(awake)}{''.join(waking)}{others}"
