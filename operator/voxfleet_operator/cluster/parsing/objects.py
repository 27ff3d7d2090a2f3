"""Parses objects, as the API server sends them in JSON, into small frozen states.

Knows which fields of a Deployment, Lease, Node or EndpointSlice matter (of a Pod: pods.py), and how drift of an
applied object is detected: by a digest over the fields that the operator may have applied. Keeps nothing; whole
objects are dropped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from voxfleet_operator import names
from voxfleet_operator.cluster.parsing.events import parse_node_event, parse_pod_event
from voxfleet_operator.cluster.parsing.pods import Receipt, parse_pod, template_digest
from voxfleet_operator.cluster.parsing.ways_in import parse_notebook, parse_route
from voxfleet_operator.decisions.capacity.leaving import Taint, leaving_sign, node_leaving
from voxfleet_operator.decisions.demand.idle_timers import clamp_renewal
from voxfleet_operator.decisions.observed import (
    ClaimState,
    ForeignScale,
    JobState,
    LeaseState,
    NodeState,
    WorkloadState,
)
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.kinds import KINDS, NODE_EVENT, POD_EVENT
from voxfleet_operator.resources import Failure

Body = dict[str, Any]

INTERNAL_PORT_NAME = "internal"  # of the gateways' Service in the chart
DIGEST_CHARACTERS = 16  # 64 bits: compared with one other digest of the same object, never searched


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Any object of the operator: its owner, and a digest of everything that the operator might have applied.

    `kubeconfig`: the Secret by which it was made in a remote cluster, NAME/KEY; empty in the operator's own.
    """

    uid: str
    digest: str
    owner_uid: str = ""
    recorded_uid: str = ""
    kubeconfig: str = ""

    @property
    def uids_of_owner(self) -> tuple[str, str]:
        """UIDs of its resource: from the owner reference, and from the annotation of unowned objects."""
        return self.owner_uid, self.recorded_uid


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One EndpointSlice of the gateways' Service; port None where the slice names no internal port.

    `pods`: the pod's name at each of the addresses, empty where the slice names none.
    """

    addresses: tuple[str, ...]
    port: int | None
    pods: tuple[str, ...] = ()


def parse_object(kind: str, body: Body) -> ObjectState:
    """Return owner and digest of an object of any kind."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    owners = metadata.get("ownerReferences") or []
    controller: Body = next((owner for owner in owners if owner.get("controller")), {})
    return ObjectState(
        uid=metadata["uid"],
        digest=_digest(kind, body) if KINDS[kind].is_applied else "",
        owner_uid=controller.get("uid", ""),
        recorded_uid=annotations.get(names.ANNOTATION_UID, ""),
        kubeconfig=annotations.get(names.ANNOTATION_KUBECONFIG, ""),
    )


def _digest(kind: str, body: Body) -> str:
    """Digest of spec, data and metadata without foreign fields, status and what the API server sets."""
    metadata, row = body["metadata"], KINDS[kind]
    annotations = metadata.get("annotations") or {}
    spec = body.get("spec") or {}
    compared = {
        "labels": metadata.get("labels"),
        "annotations": {key: value for key, value in annotations.items() if key not in row.foreign_annotations},
        "owners": metadata.get("ownerReferences"),
        "spec": {key: value for key, value in spec.items() if key not in row.foreign_spec_fields},
        "data": body.get("data"),
    }
    return sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARACTERS]


def parse_deployment(body: Body, _before: object, _receipt: Receipt) -> WorkloadState:
    """Return the state of the Deployment of one pool."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    written = spec.get("replicas", 1)
    applied = _count(annotations, names.ANNOTATION_REPLICAS)
    refused = (each for each in status.get("conditions") or [] if each["type"] == "ReplicaFailure")
    return WorkloadState(
        replicas=written if applied is None else applied,
        scaled=_foreign_scale(metadata, written, applied),
        pool_replicas=_count(annotations, names.ANNOTATION_POOL_REPLICAS),
        pool=(metadata.get("labels") or {}).get(names.LABEL_POOL, names.POOL_ON_DEMAND),
        woken_at=to_seconds(annotations.get(names.ANNOTATION_WOKEN_AT)),
        woken_reason=annotations.get(names.ANNOTATION_WOKEN_REASON, ""),
        template=template_digest(spec.get("template") or {}),
        generation=_count(annotations, names.ANNOTATION_GENERATION),
        weights=_template_annotations(spec).get(names.LABEL_WEIGHTS, ""),
        region_replicas=_count(annotations, names.ANNOTATION_REGION_REPLICAS),
        spot_reclaimed_at=to_seconds(annotations.get(names.ANNOTATION_SPOT_RECLAIMED_AT)),
        proven_template=annotations.get(names.ANNOTATION_PROVEN_TEMPLATE, ""),
        failure=_failure(annotations.get(names.ANNOTATION_FAILURE, "")),
        pods_refused=next((each.get("message", "") for each in refused if each["status"] == "True"), ""),
    )


def _failure(written: str) -> Failure | None:
    try:
        return Failure.model_validate_json(written) if written else None
    except ValidationError:  # another writer has changed it: as if no wake had failed
        return None


def _template_annotations(spec: Body) -> Body:
    return ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}


def parse_claim(body: Body, _before: object, receipt: Receipt) -> ClaimState:
    """Return the state of a claim for weights."""
    metadata = body["metadata"]
    return ClaimState(
        name=metadata["name"],
        uid=metadata["uid"],
        phase=(body.get("status") or {}).get("phase", ""),
        created_at=to_seconds(metadata.get("creationTimestamp")) or receipt.at,
        storage_class=(body.get("spec") or {}).get("storageClassName") or "",
    )


def parse_job(body: Body, _before: object, receipt: Receipt) -> JobState:
    """Return the state of a Job that fetches weights."""
    metadata, annotations = body["metadata"], body["metadata"].get("annotations") or {}
    conditions = (body.get("status") or {}).get("conditions") or []
    ended = {each["type"]: each for each in conditions if each["status"] == "True"}
    failed = ended.get("Failed", {})
    return JobState(
        name=metadata["name"],
        weights=(metadata.get("labels") or {}).get(names.LABEL_WEIGHTS, ""),
        attempt=_count(annotations, names.ANNOTATION_ATTEMPT) or 1,
        claim_uid=annotations.get(names.ANNOTATION_CLAIM_UID, ""),
        generation=_count(annotations, names.ANNOTATION_GENERATION),
        created_at=to_seconds(metadata.get("creationTimestamp")) or receipt.at,
        is_complete="Complete" in ended,
        failed_at=to_seconds(failed.get("lastTransitionTime")) or (receipt.at if failed else None),
        message=failed.get("message", ""),
    )


def _foreign_scale(metadata: Body, replicas: int, applied: int | None) -> ForeignScale | None:
    """Return which writer changed the replicas since the operator's last apply; None when they are as applied."""
    if applied is None or replicas == applied:
        return None
    owners = [
        entry
        for entry in metadata.get("managedFields") or []
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {}) and entry.get("manager") != names.FIELD_MANAGER
    ]
    newest: Body = max(owners, key=lambda entry: entry.get("time", ""), default={})
    return ForeignScale(metadata["name"], replicas, newest.get("manager", "unknown"))


def _count(annotations: Body, name: str) -> int | None:
    written = annotations.get(name, "")
    return int(written) if written.isascii() and written.isdigit() else None


def parse_lease(body: Body, before: object, receipt: Receipt) -> LeaseState:
    """Return the state of a demand Lease, its renewal clamped to this process' clock."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    raw_renewed_at = to_seconds(spec.get("renewTime"))
    renewed_at, is_clock_ahead = clamp_renewal(raw_renewed_at, receipt.at)
    raw_sleep_at = to_seconds(annotations.get(names.ANNOTATION_SLEEP_AT))
    sleep_at, _ = clamp_renewal(raw_sleep_at, receipt.at)
    # A renewal is clamped once, at its first receipt: each later event would move it on, and keep the region awake.
    if isinstance(before, LeaseState) and before.raw_renewed_at == raw_renewed_at:
        renewed_at, is_clock_ahead = before.renewed_at, before.is_clock_ahead
    if isinstance(before, LeaseState) and before.raw_sleep_at == raw_sleep_at:
        sleep_at = before.sleep_at
    return LeaseState(
        resource_version=metadata["resourceVersion"],
        renewed_at=renewed_at,
        asleep_since=to_seconds(annotations.get(names.ANNOTATION_ASLEEP_SINCE)),
        is_clock_ahead=is_clock_ahead,
        raw_renewed_at=raw_renewed_at,
        sleep_at=sleep_at,
        raw_sleep_at=raw_sleep_at,
        holder=spec.get("holderIdentity") or "",
    )


def parse_endpoint_slice(body: Body, _before: object, _receipt: Receipt) -> EndpointState:
    """Return the ready gateways of one EndpointSlice."""
    named = (port["port"] for port in body.get("ports") or [] if port.get("name") == INTERNAL_PORT_NAME)
    # An absent `ready` means ready (EndpointConditions of discovery.k8s.io/v1).
    ready = [e for e in body.get("endpoints") or [] if e.get("conditions", {}).get("ready") is not False]
    found = [(address, (e.get("targetRef") or {}).get("name", "")) for e in ready for address in e.get("addresses", [])]
    return EndpointState(tuple(a for a, _ in found), next(named, None), tuple(pod for _, pod in found))


def parse_node(body: Body, before: object, receipt: Receipt) -> NodeState:
    """Return whether a node is leaving; a sign counts from its first receipt."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    taints = tuple(Taint(each["key"], each.get("effect", "")) for each in spec.get("taints") or [])
    is_deleting = bool(metadata.get("deletionTimestamp"))
    sign = leaving_sign(taints, is_cordoned=bool(spec.get("unschedulable")), is_deleting=is_deleting)
    if sign is None:
        return NodeState()
    if isinstance(before, NodeState) and before.sign == sign.key:
        return before
    return NodeState(sign.key, node_leaving(metadata["name"], sign, receipt.at))


# Kinds whose content decisions depend on; of all others the digest is kept alone.
PARSERS: dict[str, Callable[[Body, object, Receipt], object]] = {
    "Deployment": parse_deployment,
    "EndpointSlice": parse_endpoint_slice,
    "HTTPRoute": parse_route,
    "Job": parse_job,
    "Lease": parse_lease,
    "Node": parse_node,
    "PersistentVolumeClaim": parse_claim,
    "Pod": parse_pod,
    "StatefulSet": parse_notebook,
    POD_EVENT: parse_pod_event,
    NODE_EVENT: parse_node_event,
}
