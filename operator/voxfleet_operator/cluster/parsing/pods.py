"""Parses a pod, as the API server sends it in JSON, into a PodState.

Knows milestones, and which of a pod's containers holds it up: injected ones (meshes, agents) are among them, and the
API server lists statuses by container name. Keeps nothing but what the state before it held.
"""

from dataclasses import dataclass
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.observed import IMAGE_PULL_REASONS, PULL_FAILED, PodState
from voxfleet_operator.decisions.timestamps import to_seconds

Body = dict[str, Any]

# A container that waits for these is not failing: the kubelet is still setting it up.
USUAL_WAITING_REASONS = frozenset({"", "PodInitializing", "ContainerCreating"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """When an object reached this process, and whether in a listing (which may be long after the change)."""

    at: float
    is_listing: bool


def parse_pod(body: Body, before: object, receipt: Receipt) -> PodState:
    """Return the state of an inference pod.

    New milestones get the time of receipt, because condition times have whole seconds only; those of a listing, which
    may be old, keep the time that Kubernetes wrote.
    """
    known = before if isinstance(before, PodState) else None
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}

    def milestone(name: str, recorded_at: float | None) -> float | None:
        condition = conditions.get(name, {})
        if recorded_at or condition.get("status") != "True":
            return recorded_at
        return to_seconds(condition.get("lastTransitionTime")) if receipt.is_listing else receipt.at

    container = _container_fields(_decisive(status))
    is_ready = conditions.get("Ready", {}).get("status") == "True"
    scheduled = conditions.get("PodScheduled", {})
    return PodState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        deployment=metadata["labels"][names.LABEL_DEPLOYMENT],
        region=metadata["labels"].get(names.LABEL_REGION, ""),
        pool=metadata["labels"].get(names.LABEL_POOL, names.POOL_ON_DEMAND),
        node=(body.get("spec") or {}).get("nodeName", ""),
        deletion_cost=_deletion_cost(metadata),
        retiring_since=to_seconds(annotations.get(names.ANNOTATION_RETIRING_SINCE)),
        is_protected=all(annotations.get(name) == value for name, value in names.PROTECTION.items()),
        disrupted_at=milestone("DisruptionTarget", known.disrupted_at if known else None),
        disruption_reason=conditions.get("DisruptionTarget", {}).get("reason", ""),
        created_at=to_seconds(metadata.get("creationTimestamp")) or receipt.at,
        address=status.get("podIP", ""),
        ready_at=milestone("Ready", known.ready_at if known else None) if is_ready else None,
        is_deleting=bool(metadata.get("deletionTimestamp")),
        is_finished=status.get("phase") in {"Failed", "Succeeded"},
        unschedulable_message=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        scheduled_at=milestone("PodScheduled", known.scheduled_at if known else None),
        sandbox_at=milestone("PodReadyToStartContainers", known.sandbox_at if known else None),
        started_at=_started_at(status, known, receipt),
        is_watched_from_creation=known.is_watched_from_creation if known else not receipt.is_listing,
        template=template_digest(body),
        job=metadata["labels"].get(names.LABEL_JOB, ""),
        **container,
        **_pull_fields(container["waiting_reason"], known, receipt),
    )


def _deletion_cost(metadata: Body) -> int:
    written = (metadata.get("annotations") or {}).get(names.ANNOTATION_DELETION_COST, "")
    return int(written) if written.removeprefix("-").isdecimal() and written.isascii() else 0


def template_digest(body: Body) -> str:
    """Return the digest that a pod template and its pods have as an annotation; empty without one."""
    annotations = (body.get("metadata") or {}).get("annotations") or {}
    digest: str = annotations.get(names.ANNOTATION_TEMPLATE, "")
    return digest


def _started_at(status: Body, known: PodState | None, receipt: Receipt) -> float | None:
    if known is not None and known.started_at:
        return known.started_at
    return receipt.at if _state(_server(status), "running") else None


def _server(status: Body) -> Body:
    named = (each for each in status.get("containerStatuses") or [] if each.get("name") == names.CONTAINER_SERVER)
    return next(named, {})


def _state(container: Body, name: str) -> Body:
    found: Body | None = container.get("state", {}).get(name)
    return found or {}


def _decisive(status: Body) -> Body:
    """Return the status of the container that holds the pod up: the first that fails, in order of starting.

    Without a failing one it is the fetcher while it works, then the server. An empty dict before any status.
    """
    server, fetchers = _server(status), status.get("initContainerStatuses") or []
    others = [each for each in status.get("containerStatuses") or [] if each is not server]
    working = [
        each for each in (*fetchers, *others) if _state(each, "running") and each.get("name") == names.CONTAINER_FETCHER
    ]
    in_order = [*fetchers, server, *others]
    return next((each for each in in_order if _is_failing(each)), (working or [server])[0])


def _is_failing(container: Body) -> bool:
    """Whether it waits after an error, or has ended with one; a container that runs again is not failing."""
    is_held_up = _state(container, "waiting").get("reason", "") not in USUAL_WAITING_REASONS
    return is_held_up or bool(_state(container, "terminated").get("exitCode"))


def _container_fields(container: Body) -> Body:
    waiting, ended = _state(container, "waiting"), _termination(container)
    return {
        "container": container.get("name", names.CONTAINER_SERVER),
        "is_running": bool(_state(container, "running")),
        "restarts": container.get("restartCount", 0),
        "waiting_reason": waiting.get("reason", ""),
        "waiting_message": waiting.get("message", ""),
        "exit_code": ended.get("exitCode"),
        "termination_reason": ended.get("reason", "") if ended else "",
        "termination_message": (ended.get("message") or "").strip(),
    }


def _pull_fields(waiting_reason: str, known: PodState | None, receipt: Receipt) -> Body:
    """Count the failed pulls in a row: each one shows as ErrImagePull, then as ImagePullBackOff until the next."""
    if waiting_reason not in IMAGE_PULL_REASONS:
        return {"pull_failures": 0, "pull_failed_at": None}
    if known is None or not known.pull_failures:
        return {"pull_failures": 1, "pull_failed_at": receipt.at}
    is_another = waiting_reason == PULL_FAILED != known.waiting_reason
    return {"pull_failures": known.pull_failures + is_another, "pull_failed_at": known.pull_failed_at}


def _termination(container: Body) -> Body:
    """Return the newest termination with an exit code other than 0, or an empty dict."""
    terminations = (container.get(state, {}).get("terminated") for state in ("state", "lastState"))
    return next((each for each in terminations if each and each.get("exitCode")), {})
