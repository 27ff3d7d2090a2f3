"""From the API server's JSON to small frozen values.

Knows which fields of a Pod, Deployment, Lease or EndpointSlice matter, and how to tell whether an object is still
as it was applied. Whole objects are forgotten. Does not keep anything.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.observed import PodState, WorkloadState
from voxfleet_operator.decisions.timestamps import to_seconds

Body = dict[str, Any]

INTERNAL_PORT_NAME = "internal"
# Parts that others write in the course of business; a change there is no drift.
FOREIGN_ANNOTATIONS = ("deployment.kubernetes.io/revision", names.ANNOTATION_ASLEEP_SINCE)
FOREIGN_SPEC = {"Lease": ("renewTime", "holderIdentity", "acquireTime", "leaseTransitions")}


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Any object of ours: whose it is, and a digest of everything that we might have applied."""

    uid: str
    digest: str
    owner_uid: str = ""
    recorded_uid: str = ""

    @property
    def uids_of_owner(self) -> tuple[str, str]:
        """By reference where it lies beside its resource, by annotation elsewhere."""
        return self.owner_uid, self.recorded_uid


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """A Lease as written, before its clock is judged."""

    resource_version: str
    renewed_at: float | None
    asleep_since: float | None


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where one gateway replica tells its load."""

    address: str
    port: int


def object_seen(kind: str, body: Body) -> ObjectState:
    """Whose an object is and how it stands."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    owners = metadata.get("ownerReferences") or []
    controller: Body = next((owner for owner in owners if owner.get("controller")), {})
    return ObjectState(
        uid=metadata["uid"],
        digest=_digest(kind, body),
        owner_uid=controller.get("uid", ""),
        recorded_uid=annotations.get(names.ANNOTATION_UID, ""),
    )


def _digest(kind: str, body: Body) -> str:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = body.get("spec") or {}
    compared = {
        "labels": metadata.get("labels"),
        "annotations": {key: value for key, value in annotations.items() if key not in FOREIGN_ANNOTATIONS},
        "owners": metadata.get("ownerReferences"),
        "spec": {key: value for key, value in spec.items() if key not in FOREIGN_SPEC.get(kind, ())},
        "data": body.get("data"),
    }
    return sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:16]


def workload_seen(body: Body) -> WorkloadState:
    """A Deployment."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    is_current = status.get("observedGeneration") == metadata.get("generation")
    return WorkloadState(
        replicas=spec.get("replicas", 1),
        woken_at=to_seconds(annotations.get(names.ANNOTATION_WOKEN_AT)),
        woken_reason=annotations.get(names.ANNOTATION_WOKEN_REASON, ""),
        is_updated=is_current and status.get("updatedReplicas", 0) > 0,
    )


def lease_facts(body: Body) -> LeaseFacts:
    """A demand Lease."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return LeaseFacts(
        resource_version=metadata["resourceVersion"],
        renewed_at=to_seconds(spec.get("renewTime")),
        asleep_since=to_seconds(annotations.get(names.ANNOTATION_ASLEEP_SINCE)),
    )


def pod_seen(body: Body, before: PodState | None, now: float, *, from_listing: bool) -> PodState:
    """A pod; milestones that are new get the present instant, because Kubernetes' own have whole seconds only."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    server: Body = next(iter(status.get("containerStatuses") or []), {})
    # What an init container waits for matters as much: it fetches the weights.
    troubled = [*(status.get("initContainerStatuses") or []), server]
    waiting: Body = next((c["state"]["waiting"] for c in troubled if c.get("state", {}).get("waiting")), {})
    ended = _ended(troubled)

    def milestone(name: str, was: float | None) -> float | None:
        is_reached = conditions.get(name, {}).get("status") == "True"
        written_at = to_seconds(conditions.get(name, {}).get("lastTransitionTime"))
        return was or ((written_at if from_listing else now) if is_reached else None)

    is_ready = conditions.get("Ready", {}).get("status") == "True"
    running = server.get("state", {}).get("running")
    started_at = before.started_at if before else None
    scheduled = conditions.get("PodScheduled", {})
    return PodState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        deployment=metadata["labels"][names.LABEL_DEPLOYMENT],
        region=metadata["labels"].get(names.LABEL_REGION, ""),
        created_at=to_seconds(metadata.get("creationTimestamp")) or now,
        address=status.get("podIP", ""),
        ready_at=(milestone("Ready", before.ready_at if before else None) if is_ready else None),
        is_leaving=bool(metadata.get("deletionTimestamp")) or status.get("phase") in ("Failed", "Succeeded"),
        restarts=max((c.get("restartCount", 0) for c in troubled), default=0),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        termination_message=(ended.get("message") or "").strip(),
        unschedulable_message=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        scheduled_at=milestone("PodScheduled", before.scheduled_at if before else None),
        sandbox_at=milestone("PodReadyToStartContainers", before.sandbox_at if before else None),
        started_at=started_at or (now if running else None),
        is_watched_from_creation=before.is_watched_from_creation if before else not from_listing,
    )


def _ended(containers: list[Body]) -> Body:
    """How a container last ended; the newest state first."""
    for state in ("state", "lastState"):
        for container in containers:
            ended: Body | None = container.get(state, {}).get("terminated")
            if ended and ended.get("exitCode"):
                return ended
    return {}


def gateway_addresses(body: Body, default_port: int) -> frozenset[GatewayAddress]:
    """Ready gateways of one EndpointSlice."""
    named = (port["port"] for port in body.get("ports") or [] if port.get("name") == INTERNAL_PORT_NAME)
    port = next(named, default_port)
    ready = [e for e in body.get("endpoints") or [] if e.get("conditions", {}).get("ready") is not False]
    return frozenset(GatewayAddress(address, port) for e in ready for address in e.get("addresses", []))
