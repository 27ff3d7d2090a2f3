"""Builds the conditions of a resource, from one table of reasons.

Knows every reason, its meaning and the remedy (docs/conditions.md repeats the table; a test compares them). Does not
know how regions are decided. Conditions follow the Kubernetes API conventions and kstatus.
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.resources import Condition, Phase

REASONS: dict[str, str] = {
    "Serving": "Every region is ready or asleep, at least one is ready.",
    "Asleep": "Every region is asleep on purpose; the next request wakes it.",
    "Suspended": "spec.suspend is true: nothing is served until it is false.",
    "Waking": "A region is starting; the message says what it waits for.",
    "Draining": "A region is going to zero; its servers finish their open requests.",
    "Settled": "Reconciling: no region is waking or draining, and nothing is retried. "
    "Stalled: no region has failed, and no object was rejected for good.",
    "Paused": "The annotation voxfleet.dev/reconcile: paused stops all changes; remove it to resume.",
    "WakeSucceeded": "A region became ready with this generation of the spec.",
    "NotYetWoken": "No region has become ready with this generation of the spec yet; the first request wakes one.",
    "WakeTimeout": "No server was ready within wakeTimeoutSeconds; the message says what it was waiting for.",
    "WeightsInvalid": "The server rejected its weights three times; the message says why; correct model.source.",
    "ImageNotFound": "The image cannot be pulled; correct spec.image or set podTemplate.imagePullSecrets.",
    "ApplyFailed": "The API server rejected an object or was not reached; retried with back-off. "
    "Reconciling while a retry may help, Stalled when the object must change (403, 422) or after 5 minutes.",
    "NameTaken": "An object of the needed name has another owner; rename this resource or delete that object.",
    "ModelNameTaken": "An older resource owns the model name; this one answers as namespace/name only.",
    "FeatureNotAvailable": "The spec asks for something that this version does not offer; the message names the field.",
    "FetchingWeights": "A Job fetches the weights into their claim; no server starts before it has. "
    "The message says how far it is.",
    "WeightsNotFetched": "The weights could not be fetched; the message has the pod's own words. Tried again with "
    "back-off, and at once after a change of the spec; earlier weights are kept.",
    "ClaimNotBound": "The claim for the weights is not bound or does not exist; correct cache.weights.claimName, "
    "storageClassName, accessMode or size. The message names the storage classes that exist.",
    "ClaimNotShared": "The claim for the weights can be mounted on one node at a time, and maxReplicas is above 1; use "
    "a claim with ReadWriteMany, or maxReplicas 1.",
    "SecretNotFound": "A pod or a kubeConfigSecretRef refers to a Secret, or a key of one, that does not exist; create "
    "it, or correct the field.",
    "HostPathForbidden": "cache.weights.path is not below the chart's allowedHostPaths; have it added, or use another "
    "type.",
    "ImageVolumesNotServed": "The cluster does not serve image volumes (Kubernetes 1.33 to 1.34 with the feature gate "
    "ImageVolume, 1.35 and newer without); use cache.weights.type PersistentVolumeClaim.",
    "ScheduleInvalid": "A schedule cannot be read or asks for too much; the message names the field and the remedy.",
    "TemplateConflict": "podTemplate sets something that VoxFleet sets itself; VoxFleet's value is used.",
    "LoadUnknown": "Gateways or pods do not report their load, so no region goes to sleep; look at the gateways.",
    "PodFailing": "A pod does not start while others serve; correct what the last change broke.",
    "NoSurgeCapacity": "A pod finds no node while others serve; add a node, or set rollout.strategy to Replace.",
    "SpotUnavailable": "No spot node within the fallback time; the message names what serves meanwhile and a remedy.",
    "PlacementConflict": "podTemplate.affinity or a region's nodeSelector excludes every node of a pool that capacity "
    "asks for, so its pods stay pending; the message names both fields.",
    "FellBack": "A wake with a new template failed; the last one that worked is used until the spec changes.",
    "RolloutWaiting": "A new template waits: with rollout.strategy Replace the only server would end before its "
    "successor is ready. It is used when another server or region serves, or at the next wake.",
    "ScaledByOthers": "Another writer scaled a Deployment, which was set back; reported for ten minutes after the last "
    "time. Delete the autoscaler that the message names, or use spec.autoscaling.",
    "ClockSkew": "A gateway's clock is more than 5 s ahead of the operator's; synchronise the clocks of the nodes.",
    "ClusterConnecting": "The operator is connecting to the cluster of a region for the first time.",
    "ClusterUnreachable": "The cluster of a region is not reached; its servers stay as they are, other regions are not "
    "concerned, and it is tried again by itself. Check that API server and the network to it.",
    "ClusterForbidden": "The cluster of a region refuses the kubeconfig's credentials, or does not grant what the "
    "operator needs; renew the kubeconfig, or install the chart there with hubAccess.enabled.",
    "KubeconfigRefused": "A kubeconfig has something else than an https server, a CA and an inline token or client "
    "certificate, or leads to an address that is not allowed; the message names the field.",
    "SecretForbidden": "The operator may not read the Secret of a kubeConfigSecretRef; add its namespace to the "
    "chart's secretNamespaces, or run the kubectl line of the message.",
    "RemoteCleanup": "Objects in the cluster of a region that left, or of a deleted resource, are not deleted yet; if "
    "that cluster is gone for good, set the annotation voxfleet.dev/abandon-remote as the message says.",
    "GatewayURLForbidden": "A region's gatewayURL is not within the chart's allowedPeerDomains (empty: none), so it is "
    "left out of the gateways' registry; use a host of these domains, or have its domain added.",
    "AsExpected": "No problem is known.",
}

# Objects are missing or outdated: not Ready, and Stalled only when retries do not mend it.
BLOCKING = ("ApplyFailed", "NameTaken")
# A region that is Failed for one of these is mended without a change of the spec or a new request.
PASSING = ("ClusterUnreachable",)
# Of several problems the first of these gives Degraded its reason; the message has them all.
SEVERITY = (
    "NameTaken",
    "ApplyFailed",
    "SecretForbidden",
    "KubeconfigRefused",
    "ClusterForbidden",
    "ClusterUnreachable",
    "ClusterConnecting",
    "LoadUnknown",
    "FellBack",
    "PodFailing",
    "PlacementConflict",
    "SpotUnavailable",
    "RolloutWaiting",
    "NoSurgeCapacity",
    "ScaledByOthers",
    "ClockSkew",
    "WeightsNotFetched",
    "ClaimNotBound",
    "ClaimNotShared",
    "SecretNotFound",
    "ImageNotFound",
    "HostPathForbidden",
    "ImageVolumesNotServed",
    "FeatureNotAvailable",
    "ModelNameTaken",
    "ScheduleInvalid",
    "TemplateConflict",
    "GatewayURLForbidden",
    "RemoteCleanup",
)
DELETING = {"Ready": "False", "Reconciling": "True"}  # while a deleted resource waits for remote clusters
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
    state = ConditionState("Reconciling", "False", "Paused", REASONS["Paused"])
    before = {condition.type: condition for condition in previous}
    paused = _condition(state, before.get("Reconciling"), generation, now)
    return [condition for condition in previous if condition.type != "Reconciling"] + [paused]


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
        return ConditionState("Ready", "False", blocking.reason, blocking.message)
    # A failed region before a waking one: it is the more severe reason.
    for phase in (Phase.FAILED, Phase.WAKING):
        for plan in given.plans:
            if plan.phase == phase:
                return ConditionState("Ready", "False", plan.reason, _of_region(plan))
    if all(plan.phase == Phase.SUSPENDED for plan in given.plans):
        return ConditionState("Ready", "True", "Suspended", REASONS["Suspended"])
    if any(plan.phase == Phase.AWAKE for plan in given.plans):
        return ConditionState("Ready", "True", "Serving", _awake_of(given.plans))
    return ConditionState("Ready", "True", "Asleep", "every region is asleep; the next request wakes one")


def _verified(given: ConditionInput) -> ConditionState:
    if given.is_verified:
        return ConditionState("Verified", "True", "WakeSucceeded", REASONS["WakeSucceeded"])
    failed = next((plan for plan in given.plans if plan.failure is not None), None)
    if failed is not None and failed.failure is not None:
        message = f"region {failed.name}: {failed.failure.message}"
        return ConditionState("Verified", "False", failed.failure.reason, message)
    return ConditionState("Verified", "Unknown", "NotYetWoken", REASONS["NotYetWoken"])


def _reconciling(given: ConditionInput) -> ConditionState:
    retried = _blocking(given, is_lasting=False)
    if retried:
        return ConditionState("Reconciling", "True", retried.reason, retried.message)
    for plan in given.plans:
        if plan.phase in (Phase.WAKING, Phase.DRAINING):
            return ConditionState("Reconciling", "True", str(plan.phase), _of_region(plan))
    return ConditionState("Reconciling", "False", "Settled", REASONS["Settled"])


# kstatus reads Stalled=True as failed: Flux and Argo CD stop waiting, so a passing error must not set it.
def _stalled(given: ConditionInput) -> ConditionState:
    blocking = _blocking(given, is_lasting=True)
    if blocking:
        return ConditionState("Stalled", "True", blocking.reason, blocking.message)
    failed = next((plan for plan in given.plans if plan.phase == Phase.FAILED and plan.reason not in PASSING), None)
    if failed is not None:
        return ConditionState("Stalled", "True", failed.reason, _of_region(failed))
    return ConditionState("Stalled", "False", "Settled", REASONS["Settled"])


def _degraded(given: ConditionInput) -> ConditionState:
    warnings = [Problem(*warning) for plan in given.plans for warning in plan.warnings]
    found = sorted([*given.problems, *warnings], key=_severity)
    if not found:
        return ConditionState("Degraded", "False", "AsExpected", REASONS["AsExpected"])
    return ConditionState("Degraded", "True", found[0].reason, "; ".join(problem.message for problem in found))


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
    return f"serving in {', '.join(awake)}" + ("; the other regions are asleep" if len(awake) < len(plans) else "")
