"""Decides about weights that are fetched before a wake: are they there, which Job is to run, and what is wrong.

Knows the life of a fetch: a Job with a few tries of its own, then a new Job after a back-off from 1 to 30 minutes, or
at once after a change of the spec. Does not know what the Job contains (manifests/), nor what a region without weights
does (stages.py).
"""

from dataclasses import dataclass

from voxfleet_operator.decisions.failures import IMAGE_REASONS, back_off_seconds
from voxfleet_operator.decisions.observed import CLAIM_BOUND, JobState, PodState, RegionState, WeightsState
from voxfleet_operator.decisions.weights.claims import BINDING_SECONDS, class_problem

# Kubernetes binds claims and finds nodes within seconds; what takes longer is reported, and still waited for.
GRACE_SECONDS = 60.0
# An autoscaler may need minutes for a node, which is no error; after that a word is due, and the Job still waits.
NO_NODE_SECONDS = 300.0
OTHER_ZONE = "volume node affinity conflict"  # the scheduler's words for a volume in a zone without a suitable node
# The kubelet's reasons for a pod that refers to something that does not exist; it looks again by itself.
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})


@dataclass(frozen=True, slots=True)
class Fetch:
    """The Job that fetches a region's weights, or has fetched them: it is kept as the record of that."""

    key: str
    attempt: int = 1
    claim_uid: str = ""
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """Weights are not there. `reason` is one of the conditions; `is_failing`: it does not mend by itself soon."""

    reason: str
    message: str
    is_failing: bool = False
    retry_at: float | None = None


def current_fetch(observed: RegionState, now: float) -> Fetch | None:
    """Return the Job that shall exist; None where nothing is to be fetched yet, or at all."""
    weights = observed.weights
    if not weights.key or weights.refusal:
        return None
    job, uid = _newest(weights), weights.claim.uid if weights.claim else ""
    if job is None:
        return Fetch(weights.key, claim_uid=uid)
    is_due = job.failed_at is not None and now >= job.failed_at + back_off_seconds(job.attempt)
    is_corrected = job.generation != observed.generation and _problem(weights, job, now) is not None
    if not job.is_complete and (is_due or is_corrected):
        return Fetch(weights.key, job.attempt + 1, uid)
    return Fetch(weights.key, job.attempt, uid, job.is_complete)


def missing_weights(observed: RegionState, now: float) -> Missing | None:
    """Return what a region's weights wait for, or None when pods can read them."""
    weights = observed.weights
    if weights.refusal:
        return Missing(*weights.refusal, is_failing=True)
    if weights.waits_for_claim:
        return Missing("FetchingWeights", f"{weights.what}: its claim is being created")
    job = _newest(weights)
    if not weights.key or (job is not None and job.is_complete):
        return None
    if job is None:
        return Missing("FetchingWeights", f"{weights.what}: its Job is being created")
    found = _without_class(weights, now) or _problem(weights, job, now)
    return found or Missing("FetchingWeights", _progress(weights, job), retry_at=_binding_ends_at(weights, now))


def has_earlier_weights(observed: RegionState) -> bool:
    """Whether the Deployments' pod template reads other weights, which are there: those that it fetches itself too."""
    # A claim that was deleted has taken what its Job had fetched.
    uids = observed.weights.claim_uids | {""}
    complete = {job.weights for job in observed.weights.jobs if job.is_complete and job.claim_uid in uids}
    return any(
        each.template and each.weights != observed.weights.key and (not each.weights or each.weights in complete)
        for each in observed.workloads
    )


def _newest(weights: WeightsState) -> JobState | None:
    """Return a Job that has fetched these weights, else the last attempt."""
    own = [job for job in weights.jobs if job.weights == weights.key]
    return max(own, key=lambda job: (job.is_complete, job.attempt), default=None)


def _binding_ends_at(weights: WeightsState, now: float) -> float | None:
    """Return until when a claim may be without a volume for no reason."""
    claim = weights.claim
    is_bound = claim is None or claim.phase == CLAIM_BOUND
    ends_at = None if claim is None or is_bound else claim.created_at + BINDING_SECONDS
    return ends_at if ends_at is not None and ends_at > now else None


def _without_class(weights: WeightsState, now: float) -> Missing | None:
    """Return which storage class does not exist; a claim that is bound needs none."""
    claim, classes = weights.claim, weights.storage_classes
    if claim is None or claim.phase == CLAIM_BOUND or classes is None or _binding_ends_at(weights, now) is not None:
        return None
    text = class_problem(claim.storage_class, classes)
    return Missing("ClaimNotBound", f"{weights.where}: {text}", is_failing=True) if text else None


def _problem(weights: WeightsState, job: JobState, now: float) -> Missing | None:
    pod = _newest_pod(weights, job)
    if job.failed_at is not None:
        words = (pod.termination_message if pod else "") or job.message or "look at the logs of its pods"
        retry_at = job.failed_at + back_off_seconds(job.attempt)
        return Missing("WeightsNotFetched", f"{weights.what}: {words}", is_failing=True, retry_at=retry_at)
    if pod is None:
        if now - job.created_at < GRACE_SECONDS:
            return None
        text = f"{weights.what}: no pod of Job {job.name} was created; look at its events (a quota?)"
        return Missing("WeightsNotFetched", text, is_failing=True)
    return _held_up(weights, pod, now)


def _held_up(weights: WeightsState, pod: PodState, now: float) -> Missing | None:
    """Return why a pod does not start; Kubernetes tries again by itself in each of these cases."""
    waits = f"pod {pod.name}: {pod.waiting_reason} {pod.waiting_message}".rstrip()
    if pod.waiting_reason in CONFIG_REASONS:
        return Missing("SecretNotFound", f"{weights.secret or weights.what}: {waits}", is_failing=True)
    if pod.waiting_reason in IMAGE_REASONS:
        return Missing("ImageNotFound", f"spec.image: {waits}", is_failing=True)
    is_late = now - pod.created_at >= GRACE_SECONDS
    if pod.unschedulable_message and is_late:
        claim = weights.claim
        if claim is not None and claim.phase != CLAIM_BOUND:
            text = f"{weights.where}: claim {claim.name} is {claim.phase or 'Pending'}; {pod.unschedulable_message}"
            return Missing("ClaimNotBound", f"{text}: kubectl describe pvc {claim.name}", is_failing=True)
        if "persistentvolumeclaim" in pod.unschedulable_message.lower():
            return Missing("ClaimNotBound", f"{weights.where}: {pod.unschedulable_message}", is_failing=True)
    if pod.unschedulable_message and now - pod.created_at >= NO_NODE_SECONDS:
        return Missing("WeightsNotFetched", _without_node(weights, pod), is_failing=True)
    return None


def _without_node(weights: WeightsState, pod: PodState) -> str:
    remedy = "it needs no GPU; set podTemplate.tolerations or the region's nodeSelector, or add a node"
    if OTHER_ZONE in pod.unschedulable_message:
        remedy = "the claim's volume is in a zone without a free node: add one there, or delete the claim"
    return f"{weights.what}: pod {pod.name} has no node: {pod.unschedulable_message.rstrip('.')}: {remedy}"


def _newest_pod(weights: WeightsState, job: JobState) -> PodState | None:
    return max((pod for pod in weights.pods if pod.job == job.name), key=lambda pod: pod.created_at, default=None)


def _progress(weights: WeightsState, job: JobState) -> str:
    pod = _newest_pod(weights, job)
    if pod is None:
        return f"{weights.what}: Job {job.name} is starting"
    if pod.unschedulable_message:
        return f"{weights.what}: pod {pod.name} has no node: {pod.unschedulable_message}"
    if pod.exit_code is not None:
        return f"{weights.what}: {pod.termination_message or f'exit code {pod.exit_code}'}; it is tried again"
    progress = weights.progress.get(pod.name)
    if progress is None or not progress.total_bytes:
        return f"{weights.what}: pod {pod.name} is fetching; see its log for the progress"
    done, total = progress.present_bytes, progress.total_bytes
    share = f"{done * 100 // total} % ({done / 1e9:.2f} of {total / 1e9:.2f} GB)"
    return f"{weights.what}: pod {pod.name} has fetched {share}"
