"""Why a VoxTTSDeployment is in its state, and what can be done: sentences from its status. Pure.

Knows: the fields of the status, the command that helps with a reason. What happened is in the operator's own messages.
Does not know: clusters, clocks, terminals.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Condition -> the status that is no news.
USUAL = {"Ready": "True", "Verified": "True", "Reconciling": "False", "Stalled": "False", "Degraded": "False"}

PODS = "kubectl describe pods -n {namespace} -l voxfleet.dev/deployment={name}"
EVENTS = "kubectl get events -n {namespace} --field-selector involvedObject.kind=Pod"
GATEWAYS = "kubectl logs -n voxfleet-system -l app.kubernetes.io/component=gateway --tail 50"
OPERATOR = "kubectl logs -n voxfleet-system -l app.kubernetes.io/component=operator --tail 50"
EDIT = "kubectl edit vtts -n {namespace} {name}"

# Reason -> a command that shows more or mends it. Other reasons say all in their message.
COMMANDS = {
    "ApplyFailed": OPERATOR,
    "NameTaken": EDIT,
    "ModelNameTaken": "kubectl get vtts -A -o wide",
    "Paused": "kubectl annotate vtts -n {namespace} {name} voxfleet.dev/reconcile-",
    "Suspended": EDIT,
    "WakeTimeout": PODS,
    "WeightsInvalid": EDIT,
    "WeightsNotFetched": "kubectl get jobs,pods -n {namespace} -l voxfleet.dev/deployment={name}",
    "FetchingWeights": "kubectl get jobs,pods -n {namespace} -l voxfleet.dev/deployment={name}",
    "ClaimNotBound": "kubectl get pvc,storageclass -n {namespace}",
    "ClaimNotShared": EDIT,
    "ImageNotFound": EDIT,
    "SecretNotFound": "kubectl get secrets -n {namespace}",
    "LoadUnknown": GATEWAYS,
    "PodFailing": PODS,
    "NoSurgeCapacity": EVENTS,
    "SpotUnavailable": EVENTS,
    "PlacementConflict": EDIT,
    "FellBack": EDIT,
    "ScaledByOthers": "kubectl get hpa -n {namespace}",
}

PARTS = {
    "nodeSeconds": "node",
    "containerSeconds": "container",
    "imageSeconds": "image",
    "processSeconds": "process",
    "weightsSeconds": "weights",
    "warmUpSeconds": "warm-up",
    "readinessSeconds": "readiness",
    "otherSeconds": "other",
}
WAKE_REASONS = {"RequestHeld": "for a request", "MinReplicas": "for minReplicas"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of the resource, its state, why it is so, and a command that helps; empty: there is none."""

    subject: str  # `region eu-central`, `condition Degraded`
    state: str
    why: tuple[str, ...]
    command: str = ""


def explain(resource: Mapping[str, Any], now: datetime) -> tuple[Finding, ...]:
    """Return the findings about a resource: regions in the order of the spec, then unusual conditions."""
    status = resource.get("status") or {}
    if not status:
        return (Finding("resource", "New", ("The operator has not written a status yet.",), OPERATOR),)
    return (*_behind(resource), *(region(each, now) for each in status.get("regions") or []), *_conditions(resource))


def headline(resource: Mapping[str, Any]) -> str:
    """Return the resource's state in one line."""
    metadata, status = resource["metadata"], resource.get("status") or {}
    ready = _condition(status, "Ready")
    text = f"{metadata['namespace']}/{metadata['name']}: "
    text += f"Ready is {ready.get('status', 'Unknown')} ({ready.get('reason', 'no status')})"
    awake = f", {status['awake']} regions awake" if status.get("awake") else ""
    return f"{text}{awake}, {status.get('replicas', 0)} replicas"


def is_ready(resource: Mapping[str, Any]) -> bool:
    """Whether the resource serves, asleep or not."""
    return bool(_condition(resource.get("status") or {}, "Ready").get("status") == "True")


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((each for each in status.get("conditions") or [] if each["type"] == kind), {})


def _behind(resource: Mapping[str, Any]) -> Iterator[Finding]:
    generation = resource["metadata"].get("generation", 0)
    observed = resource["status"].get("observedGeneration")
    if observed is not None and observed != generation:
        why = f"The status is of generation {observed}, the spec is of generation {generation}: the operator is behind."
        yield Finding("resource", "Outdated", (why,), OPERATOR)


def _conditions(resource: Mapping[str, Any]) -> Iterator[Finding]:
    metadata = resource["metadata"]
    for each in resource["status"].get("conditions") or []:
        if each["status"] == USUAL.get(each["type"], "False"):
            continue
        command = COMMANDS.get(each["reason"], "").format(namespace=metadata["namespace"], name=metadata["name"])
        message = each.get("message") or "The reason's meaning is in docs/conditions.md."
        yield Finding(f"condition {each['type']}", f"{each['status']} ({each['reason']})", (message,), command)


def region(status: Mapping[str, Any], now: datetime) -> Finding:
    """Return the finding about one region."""
    phase = status["phase"]
    why = [_servers(status), *_phase_words(status, now), *([status["message"]] if status.get("message") else [])]
    wake = _wake_words(status.get("lastWake"), now)
    return Finding(f"region {status['name']}", phase, tuple(line for line in (*why, wake) if line))


def _servers(status: Mapping[str, Any]) -> str:
    wanted, ready, spot = (status.get(name, 0) for name in ("desiredReplicas", "readyReplicas", "spotReplicas"))
    if not wanted and not ready:
        return ""
    return f"{ready} of {wanted} servers are ready" + (f", {spot} of them on spot machines." if spot else ".")


def _phase_words(status: Mapping[str, Any], now: datetime) -> Iterator[str]:
    match status["phase"]:
        case "Asleep" if status.get("message"):
            pass  # it says why
        case "Asleep":
            yield "No request came for idleTimeoutSeconds; the next one wakes it."
        case "Awake" if until := _at(status.get("awakeUntil")):
            yield f"Without another request it goes to sleep at {until:%H:%M:%S} UTC, {_distance(until, now)}."
        case "Awake":
            yield "It never sleeps: minReplicas is above 0, or a schedule keeps it awake."
        case "Waking":
            yield "Requests are held meanwhile."
        case "Draining":
            yield "Its servers finish their open requests; a new request keeps it awake."
        case "Suspended":
            yield "spec.suspend, or the region's own, is true: it serves nothing until that is false."
        case "Failed":
            yield from _failure_words(status.get("failure") or {}, now)
        case other:
            yield f"Phase {other} is not known to this version of the command."


def _failure_words(failure: Mapping[str, Any], now: datetime) -> Iterator[str]:
    times = failure.get("count", 1)
    failed = "its last wake failed" if times == 1 else f"its last {times} wakes failed"
    yield f"{failure.get('reason', 'Failed')}: {failed}."
    if (retry := _at(failure.get("retryAt"))) is not None and retry > now:
        yield f"A request wakes it from {retry:%H:%M:%S} UTC on, {_distance(retry, now)}; a change of the spec at once."
    else:
        yield "The next request wakes it again."


def _wake_words(wake: Mapping[str, Any] | None, now: datetime) -> str:
    if not wake or (started := _at(wake.get("startedAt"))) is None or "totalSeconds" not in wake:
        return ""
    parts = wake_parts(wake)
    reason = WAKE_REASONS.get(wake.get("reason", ""), "")
    about = " (approximate)" if wake.get("approximate") else ""
    text = f"Its last wake {reason} was {_distance(started, now)}, and took {float(wake['totalSeconds']):.1f} s{about}"
    return f"{text}: {parts}." if parts else f"{text}."


def wake_parts(wake: Mapping[str, Any]) -> str:
    """Return the parts of a wake that took time, with their seconds."""
    return ", ".join(
        f"{name} {float(wake[key]):.1f}"
        for key, name in PARTS.items()
        if float(wake.get(key) or 0) >= 0.05  # noqa: PLR2004
    )


def _at(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _distance(at: datetime, now: datetime) -> str:
    seconds = (at - now).total_seconds()
    return f"in {length(seconds)}" if seconds >= 0 else f"{length(-seconds)} ago"


def length(seconds: float) -> str:
    """Return a length of time with its two largest units at most."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
