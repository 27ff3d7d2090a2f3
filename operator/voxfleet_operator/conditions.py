"""Conditions of a resource: one table of reasons, and the builder.

Knows every reason, what it means and what to do (docs/conditions.md repeats the table; a test compares them).
Does not know how regions are decided.
"""

from dataclasses import dataclass

from voxfleet_operator.deciding.instants import to_rfc3339
from voxfleet_operator.deciding.region_plan import RegionPlan
from voxfleet_operator.resources import Condition, Phase

REASONS: dict[str, str] = {
    "Serving": "Every region is ready or asleep, at least one is ready.",
    "Asleep": "Every region is asleep on purpose; the next request wakes it.",
    "Suspended": "spec.suspend is true: nothing is served until it is false.",
    "Waking": "A region was asked for and is starting; its message says what it waits for.",
    "Draining": "A region is going to zero; its servers finish what they have.",
    "Settled": "Nothing is in motion, nothing is stuck.",
    "Paused": "The annotation voxfleet.dev/reconcile: paused stops all changes; remove it to go on.",
    "WakeSucceeded": "A region became ready with this generation of the spec.",
    "NotYetWoken": "No region has become ready with this generation yet; the first request will tell.",
    "WakeTimeout": "A server was not ready within wakeTimeoutSeconds; the message says where it stood.",
    "WeightsInvalid": "The server refused its weights three times and says why; correct model.source.",
    "ImageNotFound": "The image cannot be pulled; correct spec.image or give podTemplate.imagePullSecrets.",
    "ApplyFailed": "The API server refused an object or could not be reached; tried again with back-off.",
    "NameTaken": "An object of the needed name belongs to somebody else; rename this resource or remove that object.",
    "ModelNameTaken": "An older resource owns the model name; this one answers as namespace/name only.",
    "FeatureNotAvailable": "The spec asks for something that this version does not offer; the message names the field.",
    "TemplateConflict": "podTemplate names something that VoxFleet sets itself; VoxFleet's value is used.",
    "LoadUnknown": "Gateways or pods do not tell their load, so nothing is put to sleep; look at the gateways.",
    "PodFailing": "A pod does not start while others serve; correct what the last change broke.",
    "NoSurgeCapacity": "A pod finds no node while others serve; add a node, or set rollout.strategy to Replace.",
    "ClockSkew": "A gateway's clock runs ahead by more than 5 s; synchronise the clocks of the nodes.",
    "AsExpected": "Nothing is wrong.",
}

BLOCKING = ("ApplyFailed", "NameTaken")
SEVERITY = (
    "NameTaken",
    "ApplyFailed",
    "LoadUnknown",
    "PodFailing",
    "NoSurgeCapacity",
    "ClockSkew",
    "FeatureNotAvailable",
    "ModelNameTaken",
    "TemplateConflict",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should know."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A condition without its history."""

    type: str
    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is judged: the plans of all regions, problems of the resource, and whether a wake has proven the spec."""

    plans: tuple[RegionPlan, ...]
    problems: tuple[Problem, ...] = ()
    is_proven: bool = False


def conditions(judged: Judged, previous: tuple[Condition, ...], generation: int, now: float) -> list[Condition]:
    """All conditions; the time of the last transition is kept while the judgement stands."""
    judgements = (_ready(judged), _proven(judged), _reconciling(judged), _stalled(judged), _degraded(judged))
    before = {condition.type: condition for condition in previous}
    return [_written(judgement, before.get(judgement.type), generation, now) for judgement in judgements]


def paused_conditions(previous: tuple[Condition, ...], generation: int, now: float) -> list[Condition]:
    """The last judgements, and that nothing is reconciled now."""
    judgement = Judgement("Reconciling", "False", "Paused", REASONS["Paused"])
    before = {condition.type: condition for condition in previous}
    written = _written(judgement, before.get("Reconciling"), generation, now)
    return [condition for condition in previous if condition.type != "Reconciling"] + [written]


def summary(judged: Judged) -> str:
    """The one line that `kubectl get -o wide` shows."""
    ready, degraded = _ready(judged), _degraded(judged)
    return degraded.message if ready.status == "True" and degraded.status == "True" else ready.message


def _written(judgement: Judgement, before: Condition | None, generation: int, now: float) -> Condition:
    stands = before is not None and before.status == judgement.status
    return Condition(
        type=judgement.type,
        status=judgement.status,
        reason=judgement.reason,
        message=judgement.message[:4096],
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and stands else to_rfc3339(now),
    )


def _ready(judged: Judged) -> Judgement:
    blocking = _blocking(judged)
    if blocking:
        return Judgement("Ready", "False", blocking.reason, blocking.message)
    for phase in (Phase.FAILED, Phase.WAKING):
        for plan in judged.plans:
            if plan.phase == phase:
                return Judgement("Ready", "False", plan.reason, _of_region(plan))
    if all(plan.phase == Phase.SUSPENDED for plan in judged.plans):
        return Judgement("Ready", "True", "Suspended", REASONS["Suspended"])
    if any(plan.phase == Phase.AWAKE for plan in judged.plans):
        return Judgement("Ready", "True", "Serving", _awake_of(judged.plans))
    return Judgement("Ready", "True", "Asleep", "every region is asleep; the next request wakes one")


def _proven(judged: Judged) -> Judgement:
    if judged.is_proven:
        return Judgement("Proven", "True", "WakeSucceeded", REASONS["WakeSucceeded"])
    failed = next((plan for plan in judged.plans if plan.failure is not None), None)
    if failed is not None and failed.failure is not None:
        return Judgement("Proven", "False", failed.failure.reason, f"region {failed.name}: {failed.failure.message}")
    return Judgement("Proven", "Unknown", "NotYetWoken", REASONS["NotYetWoken"])


def _reconciling(judged: Judged) -> Judgement:
    for plan in judged.plans:
        if plan.phase in (Phase.WAKING, Phase.DRAINING):
            return Judgement("Reconciling", "True", str(plan.phase), _of_region(plan))
    return Judgement("Reconciling", "False", "Settled", REASONS["Settled"])


def _stalled(judged: Judged) -> Judgement:
    blocking = _blocking(judged)
    if blocking:
        return Judgement("Stalled", "True", blocking.reason, blocking.message)
    failed = next((plan for plan in judged.plans if plan.phase == Phase.FAILED), None)
    if failed is not None:
        return Judgement("Stalled", "True", failed.reason, _of_region(failed))
    return Judgement("Stalled", "False", "Settled", REASONS["Settled"])


def _degraded(judged: Judged) -> Judgement:
    warnings = [Problem(*warning) for plan in judged.plans for warning in plan.warnings]
    found = sorted([*judged.problems, *warnings], key=_severity)
    if not found:
        return Judgement("Degraded", "False", "AsExpected", REASONS["AsExpected"])
    return Judgement("Degraded", "True", found[0].reason, "; ".join(problem.message for problem in found))


def _severity(problem: Problem) -> int:
    return SEVERITY.index(problem.reason) if problem.reason in SEVERITY else len(SEVERITY)


def _blocking(judged: Judged) -> Problem | None:
    return next((problem for problem in judged.problems if problem.reason in BLOCKING), None)


def _of_region(plan: RegionPlan) -> str:
    retry = f" (tried again on demand from {plan.failure.retry_at})" if plan.failure and plan.replicas == 0 else ""
    return f"region {plan.name}: {plan.message}{retry}"


def _awake_of(plans: tuple[RegionPlan, ...]) -> str:
    awake = [plan.name for plan in plans if plan.phase == Phase.AWAKE]
    return f"serving in {', '.join(awake)}" + ("; the other regions are asleep" if len(awake) < len(plans) else "")
