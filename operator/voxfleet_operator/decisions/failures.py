"""Detects a failed wake, its reason, and when the next one may be tried.

Knows the signs of invalid weights and of images that cannot be pulled, and the back-off from 1 to 30 minutes. Does
not know demand.
"""

from voxfleet_operator.decisions.observed import IMAGE_PULL_REASONS, PodState, RegionState
from voxfleet_operator.decisions.rollouts import running_templates
from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds
from voxfleet_operator.names import CONTAINER_FETCHER, CONTAINER_SERVER, POOL_SPOT
from voxfleet_operator.resources import Failure

WEIGHTS_INVALID_EXIT_CODE = 3  # of the inference server; every other code may be a passing error
RESTARTS_UNTIL_FAILED = 3
OUT_OF_MEMORY = "OOMKilled"  # the kubelet's reason, with exit code 137 and no message
# A registry that is slow or limits its rate recovers within one or two pulls; the kubelet waits 10 s, then 20 s. Both
# bounds are needed: one pull may take minutes, and three may fail at once when a node has just started.
PULLS_UNTIL_FAILED = 3
IMAGE_PULL_GRACE_SECONDS = 45.0  # from the first failed pull of the pod
START_GRACE_SECONDS = 30.0
FIRST_BACK_OFF_SECONDS = 60
LONGEST_BACK_OFF_SECONDS = 1800
MOST_DOUBLINGS = 10  # beyond the longest back-off; keeps 2 ** n small
LONGEST_MESSAGE = 2000  # characters; the CRD's own limit is 4096 for it and what conditions add

# Reasons of the kubelet that no retry can mend, and those that a retry may.
FATAL_IMAGE_REASONS = ("InvalidImageName", "ErrImageNeverPull")
IMAGE_REASONS = (*IMAGE_PULL_REASONS, *FATAL_IMAGE_REASONS)


def back_off_seconds(count: int) -> int:
    """Return the pause before the next wake after `count` failed ones in a row."""
    return int(min(FIRST_BACK_OFF_SECONDS * 2 ** min(count - 1, MOST_DOUBLINGS), LONGEST_BACK_OFF_SECONDS))


def current_failure(observed: RegionState) -> Failure | None:
    """Return the recorded failure unless the spec has changed since: a new generation is tried at once."""
    failure = observed.failure
    return failure if failure is not None and failure.generation == observed.generation else None


def detect_failure(observed: RegionState, now: float) -> Failure | None:
    """Return the failure that the pods show now, or None; a region with a ready pod has not failed.

    One of this wake that is recorded already stays as it is: not every Deployment has gone to zero yet. A pod that
    cannot start ends the wake only if no other pod progresses: its node may be the only one without the image or with a
    damaged disk.
    """
    if observed.ready_pods:
        return None
    recorded = current_failure(observed)
    if recorded is not None and _is_of_this_wake(recorded, observed):
        return recorded
    pods = observed.active_pods
    failed = [found for pod in pods if (found := _weights_invalid(pod) or _image_not_found(pod, now))]
    if failed and not any(_is_progressing(pod) for pod in pods):
        return _recorded(observed, *failed[0], now)
    timeout_seconds = observed.autoscaling.wake_timeout_seconds
    if now - observed.local.unready_since < timeout_seconds:
        return None
    has_no_spot = pods and all(pod.pool == POOL_SPOT and pod.scheduled_at is None for pod in pods)
    remedy = "Set capacity.spot to Preferred to use on demand, or add spot nodes. " if has_no_spot else ""
    message = (
        f"not ready within wakeTimeoutSeconds ({timeout_seconds} s): {waiting_for(observed)}. "
        f"{remedy}Raise autoscaling.wakeTimeoutSeconds if this is only slow"
    )
    return _recorded(observed, "WakeTimeout", message, now)


def _is_of_this_wake(failure: Failure, observed: RegionState) -> bool:
    failed_at, woken_at = to_seconds(failure.failed_at), observed.woken_at
    return failed_at is not None and woken_at is not None and failed_at > woken_at


def waiting_for(observed: RegionState) -> str:
    """Return a message that says what a waking region waits for."""
    pods = observed.active_pods
    if pods:
        # A pod with a node first: the others may be spot pods that on demand covers.
        return _pod_waits_for(min(pods, key=lambda each: (each.scheduled_at is None, each.created_at)))
    if observed.pods_refused:
        return f"the API server refuses its pods: {observed.pods_refused}"
    return "no pod was created yet; look at the Deployment's events"


def _pod_waits_for(pod: PodState) -> str:
    if pod.unschedulable_message:
        kind = "spot node" if pod.pool == POOL_SPOT else "node"
        return f"pod {pod.name} has no {kind}: {pod.unschedulable_message.rstrip('.')}"
    if pod.exit_code is not None:
        return f"pod {pod.name}: {_ending(pod)}" + ("; it runs again and is loading" if pod.is_running else "")
    if pod.waiting_reason:
        return f"pod {pod.name}: {pod.waiting_reason} {pod.waiting_message}".rstrip()
    if pod.scheduled_at is None:
        return f"pod {pod.name} waits for a node"
    return f"pod {pod.name} is loading the model"


def pod_warnings(observed: RegionState, now: float) -> list[tuple[str, str]]:
    """Return (reason, message) for pods that are not created or not ready while others serve: Degraded, not Failed."""
    found = []
    if observed.pods_refused:
        text = f"the API server refuses more pods: {observed.pods_refused}"
        found.append(("PodFailing", f"region {observed.name} serves on, but {text}"))
    for pod in observed.active_pods:
        if pod.is_ready or now - pod.created_at < START_GRACE_SECONDS:
            continue
        if pod.pool == POOL_SPOT and pod.scheduled_at is None:
            continue  # capacity/explanation.py: on demand may cover it, and a surplus of GPUs does not help
        if pod.unschedulable_message:
            text = f"pod {pod.name} has no node: {pod.unschedulable_message}"
            found.append(("NoSurgeCapacity", f"region {observed.name} serves on, but {text}"))
        elif pod.waiting_reason in IMAGE_REASONS or pod.restarts > 0:
            text = _ending(pod) if pod.exit_code is not None else f"{pod.waiting_reason} {pod.waiting_message}".strip()
            found.append(("PodFailing", f"region {observed.name} serves on, but pod {pod.name} does not start: {text}"))
        elif now - pod.created_at >= observed.autoscaling.wake_timeout_seconds:
            text = f"{_pod_waits_for(pod)}, for longer than wakeTimeoutSeconds"
            found.append(("PodFailing", f"region {observed.name} serves on, but {text}"))
    return found


def _ending(pod: PodState) -> str:
    """Return a message that says how the container ended that holds the pod up."""
    reason = f", {pod.termination_reason}" if pod.termination_reason not in {"", "Error"} else ""
    remedy = "; raise resources.limits.memory" if pod.termination_reason == OUT_OF_MEMORY else ""
    text = f": {pod.termination_message}" if pod.termination_message else ""
    return f"container {pod.container} ended (exit code {pod.exit_code}{reason}){text}{remedy}"


def _weights_invalid(pod: PodState) -> tuple[str, str] | None:
    # Any other container may use the exit code for something else.
    is_own = pod.container in {CONTAINER_SERVER, CONTAINER_FETCHER}
    if not is_own or pod.exit_code != WEIGHTS_INVALID_EXIT_CODE or pod.restarts < RESTARTS_UNTIL_FAILED:
        return None
    message = pod.termination_message or f"the server rejected its weights; see the logs of {pod.name}"
    return "WeightsInvalid", message


def _is_progressing(pod: PodState) -> bool:
    """Whether it has a node, and no error so far."""
    return pod.scheduled_at is not None and pod.exit_code is None and pod.waiting_reason not in IMAGE_REASONS


def _image_not_found(pod: PodState, now: float) -> tuple[str, str] | None:
    is_fatal = pod.waiting_reason in FATAL_IMAGE_REASONS
    is_late = pod.pull_failed_at is not None and now - pod.pull_failed_at >= IMAGE_PULL_GRACE_SECONDS
    is_late = is_late and pod.pull_failures >= PULLS_UNTIL_FAILED
    return ("ImageNotFound", pod.waiting_message or pod.waiting_reason) if is_fatal or is_late else None


def _recorded(observed: RegionState, reason: str, message: str, now: float) -> Failure:
    previous = current_failure(observed)
    count = previous.count + 1 if previous else 1
    return Failure(
        reason=reason,
        message=message[:LONGEST_MESSAGE],
        count=count,
        failed_at=to_micro_time(now),
        retry_at=to_micro_time(now + back_off_seconds(count)),
        generation=observed.generation,
        templates=running_templates(observed) or None,
    )
