"""Which fields of which objects a bundle has: one table. Pure.

Knows: the objects, their paths, and the fields that help to find a mistake. Free text (messages, annotations, commands,
environments) is in no shape.
"""

from typing import Any, NamedTuple
from urllib.parse import quote

from voxfleet_cli.report.picking import (
    ANY_NAME,
    CAMEL,
    DECIMAL,
    MONTH,
    NAME,
    NODE,
    NUMBER,
    PRESENT,
    QUANTITY,
    TIME,
    TRUTH,
    VERSION,
    WORD,
    one_of,
)

Fields = dict[str, Any]

OURS = {
    f"voxfleet.dev/{key}": NAME for key in ("deployment", "namespace", "region", "pool", "remote", "model-registry")
} | {"app.kubernetes.io/component": NAME, "app.kubernetes.io/version": VERSION}
METADATA: Fields = {
    "name": NAME,
    "namespace": NAME,
    "generation": NUMBER,
    "creationTimestamp": TIME,
    "deletionTimestamp": TIME,
    "labels": OURS,
    "annotations": {
        "voxfleet.dev/asleep-since": TIME,
        "voxfleet.dev/sleep-at": TIME,
        "voxfleet.dev/retiring-since": TIME,
        "voxfleet.dev/woken-at": TIME,
        "voxfleet.dev/woken-reason": CAMEL,
        "voxfleet.dev/replicas": DECIMAL,
        "voxfleet.dev/region-replicas": DECIMAL,
        "voxfleet.dev/pool-replicas": DECIMAL,
        "voxfleet.dev/reconcile": WORD,
    },
}
CONDITIONS = [
    {"type": CAMEL, "status": TRUTH, "reason": CAMEL, "lastTransitionTime": TIME, "observedGeneration": NUMBER}
]
AUTOSCALING = {
    "minReplicas": NUMBER,
    "maxReplicas": NUMBER,
    "targetRequestsPerReplica": NUMBER,
    "scaleDownStabilizationSeconds": NUMBER,
    "idleTimeoutSeconds": NUMBER,
    "wakeTimeoutSeconds": NUMBER,
    "maxUnknownSeconds": NUMBER,
    "schedules": PRESENT,
}
LAST_WAKE = {"reason": CAMEL, "startedAt": TIME, "readyAt": TIME, "approximate": NUMBER} | {
    f"{part}Seconds": DECIMAL
    for part in ("total", "node", "container", "image", "process", "weights", "warmUp", "readiness", "other")
}
FAILURE = {"reason": CAMEL, "count": NUMBER, "failedAt": TIME, "retryAt": TIME, "generation": NUMBER}
RESOURCE: Fields = {
    "metadata": METADATA,
    "spec": {
        "suspend": NUMBER,
        "model": {"source": PRESENT, "secretRef": PRESENT, "aliases": PRESENT},
        "image": PRESENT,
        "regions": [
            {
                "name": NAME,
                "suspend": NUMBER,
                "gatewayURL": PRESENT,
                "kubeConfigSecretRef": PRESENT,
                "nodeSelector": PRESENT,
                "allowedClients": PRESENT,
                "autoscaling": AUTOSCALING,
                "podTemplate": PRESENT,
            }
        ],
        "gpu": {"resourceName": PRESENT, "count": NUMBER},
        "capacity": {
            "spot": CAMEL,
            "onDemandBase": NUMBER,
            "spotFallbackSeconds": NUMBER,
            "wakeFallbackSeconds": NUMBER,
        },
        "autoscaling": AUTOSCALING,
        "serving": {"maxBatchSize": NUMBER, "maxQueuedRequests": NUMBER, "inferenceTimesteps": NUMBER},
        "gateway": {"holdSeconds": NUMBER, "maxHeldRequests": NUMBER, "spill": NUMBER, "publicCatalog": NUMBER},
        "cache": {
            "weights": {"type": CAMEL, "storageClassName": PRESENT, "claimName": PRESENT},
            "prePullImage": NUMBER,
        },
        "rollout": {"strategy": CAMEL},
        "disruption": {"drainSeconds": NUMBER, "maxUnavailable": NUMBER},
        "podTemplate": PRESENT,
        "notebook": {"enabled": NUMBER},
        "monitoring": {"podMonitor": NUMBER},
    },
    "status": {
        "observedGeneration": NUMBER,
        "awake": PRESENT,
        "replicas": NUMBER,
        "conditions": CONDITIONS,
        "regions": [
            {
                "name": NAME,
                "phase": CAMEL,
                "desiredReplicas": NUMBER,
                "readyReplicas": NUMBER,
                "spotReplicas": NUMBER,
                "awakeUntil": TIME,
                "lastWake": LAST_WAKE,
                "failure": FAILURE,
            }
        ],
        "cost": {
            "asOf": TIME,
            "gpuSeconds": DECIMAL,
            "gpuSecondsAvoided": DECIMAL,
            "savedRatio": DECIMAL,
            "months": [{"month": MONTH, "region": NAME}],
        },
    },
}
AMOUNTS = {"cpu": QUANTITY, "memory": QUANTITY, "ephemeral-storage": QUANTITY, ANY_NAME: QUANTITY}
ENDED = {"reason": CAMEL, "exitCode": NUMBER, "startedAt": TIME, "finishedAt": TIME}
CONTAINER_STATE = {"waiting": {"reason": CAMEL}, "running": {"startedAt": TIME}, "terminated": ENDED}
CONTAINER_STATUSES = [
    {"name": NAME, "ready": NUMBER, "restartCount": NUMBER, "state": CONTAINER_STATE, "lastState": CONTAINER_STATE}
]
POD: Fields = {
    "metadata": METADATA,
    "spec": {
        "nodeName": NODE,
        "terminationGracePeriodSeconds": NUMBER,
        "containers": [{"name": NAME, "resources": {"limits": AMOUNTS, "requests": AMOUNTS}}],
    },
    "status": {
        "phase": CAMEL,
        "reason": CAMEL,
        "startTime": TIME,
        "conditions": CONDITIONS,
        "initContainerStatuses": CONTAINER_STATUSES,
        "containerStatuses": CONTAINER_STATUSES,
    },
}
COUNTS = {ANY_NAME: NUMBER, "conditions": CONDITIONS}
NODE_LABELS = {
    "topology.kubernetes.io/region": NAME,
    "topology.kubernetes.io/zone": NAME,
    "karpenter.sh/capacity-type": WORD,
    "voxfleet.dev/capacity-type": WORD,
    "eks.amazonaws.com/capacityType": one_of(WORD, CAMEL),
    "kubernetes.azure.com/scalesetpriority": WORD,
    "cloud.google.com/gke-spot": WORD,
}
TAINTS = [{"effect": CAMEL, "timeAdded": TIME}]


class Source(NamedTuple):
    """A list of objects, and what of each is kept."""

    path: str
    shape: Fields


_OURS = f"labelSelector={quote('voxfleet.dev/deployment')}"
_SYSTEM = f"labelSelector={quote('app.kubernetes.io/name=voxfleet')}"
# File of the bundle -> its objects; {system} and {demand} are the installation's namespaces.
SOURCES: dict[str, Source] = {
    "resources": Source("/apis/voxfleet.dev/v1alpha1/voxttsdeployments", RESOURCE),
    "pods": Source(f"/api/v1/pods?{_OURS}", POD),
    "system-pods": Source(f"/api/v1/namespaces/{{system}}/pods?{_SYSTEM}", POD),
    "deployments": Source(
        f"/apis/apps/v1/deployments?{_OURS}",
        {"metadata": METADATA, "spec": {"replicas": NUMBER, "paused": NUMBER}, "status": COUNTS},
    ),
    "leases": Source(
        "/apis/coordination.k8s.io/v1/namespaces/{demand}/leases",
        {
            "metadata": METADATA,
            "spec": {"renewTime": TIME, "leaseDurationSeconds": NUMBER, "holderIdentity": NAME},
        },
    ),
    "events": Source(
        "/api/v1/events?limit=500",
        {
            "metadata": {"namespace": NAME},
            "involvedObject": {"kind": CAMEL, "namespace": NAME, "name": NAME},
            "reason": CAMEL,
            "type": CAMEL,
            "count": NUMBER,
            "firstTimestamp": TIME,
            "lastTimestamp": TIME,
            "eventTime": TIME,
        },
    ),
    "jobs": Source(f"/apis/batch/v1/jobs?{_OURS}", {"metadata": METADATA, "status": COUNTS}),
    "claims": Source(
        f"/api/v1/persistentvolumeclaims?{_OURS}",
        {
            "metadata": METADATA,
            "spec": {"accessModes": [CAMEL], "resources": {"requests": AMOUNTS}, "storageClassName": NAME},
            "status": {"phase": CAMEL},
        },
    ),
    "nodes": Source(
        "/api/v1/nodes",
        {
            "metadata": {"name": NODE, "creationTimestamp": TIME, "labels": NODE_LABELS},
            "spec": {"unschedulable": NUMBER, "taints": TAINTS},
            "status": {
                "allocatable": AMOUNTS,
                "conditions": CONDITIONS,
                "nodeInfo": {"kubeletVersion": VERSION, "architecture": NAME},
            },
        },
    ),
}
