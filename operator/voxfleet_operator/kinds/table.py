"""The table of Kubernetes kinds that the operator reads or writes: one row for each.

Knows where a kind is watched, whether the operator applies and deletes its objects, and which of their fields other
writers own. The verbs that the chart's roles must grant follow from the row (tests/unit/charts compares them).
Does not know what an object contains.
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds.kind import Kind, Ownership, Scope

# Rows of their own, because each is another watch. Their objects are known by what they are about, not by their names.
POD_EVENT, NODE_EVENT = "Event of a Pod", "Event of a Node"
EVENTS = frozenset({POD_EVENT, NODE_EVENT})

# An Ingress to the gateways is in their namespace, that of a notebook beside it.
NOTEBOOK_INGRESS = "Ingress of a notebook"
# That of the servers is never deleted by the operator.
NOTEBOOK_POLICY = "NetworkPolicy of a notebook"
# Written by Google's ingress controller, with the health of backends.
GCE_ANNOTATIONS = frozenset(
    f"ingress.kubernetes.io/{part}"
    for part in (
        "backends",
        "forwarding-rule",
        "https-forwarding-rule",
        "https-target-proxy",
        "ssl-cert",
        "target-proxy",
        "url-map",
    )
)

LABEL_SERVICE_NAME = "kubernetes.io/service-name"  # set by Kubernetes on the EndpointSlices of a Service


def _owned(name: str, api_version: str, plural: str, **more: Any) -> Kind:
    """Return the row of a kind beside each resource, deleted with it or when its spec no longer asks for it."""
    return Kind(name, api_version, plural, Scope.ALL, Ownership.OWNED, is_pruned=True, **more)


def _of_notebooks(name: str, api_version: str, plural: str, **more: Any) -> Kind:
    return _owned(name, api_version, plural, is_home_only=True, component=names.NOTEBOOK, **more)


APPLIED_AND_WATCHED = (
    Kind(
        "Lease",
        "coordination.k8s.io/v1",
        "leases",
        Scope.DEMAND,
        Ownership.UNOWNED,
        is_pruned=True,
        is_urgent=True,  # a renewal may be a request that a gateway holds
        foreign_annotations=frozenset({names.ANNOTATION_ASLEEP_SINCE, names.ANNOTATION_SLEEP_AT}),
        foreign_spec_fields=frozenset({"renewTime", "holderIdentity", "acquireTime", "leaseTransitions"}),
    ),
    _owned(
        "Deployment",
        "apps/v1",
        "deployments",
        foreign_annotations=frozenset({"deployment.kubernetes.io/revision"}),  # by the Deployment controller
    ),
    _owned(
        "PersistentVolumeClaim",
        "v1",
        "persistentvolumeclaims",
        # By the binder and the provisioner of the volume.
        foreign_annotations=frozenset(
            {
                "pv.kubernetes.io/bind-completed",
                "pv.kubernetes.io/bound-by-controller",
                "volume.beta.kubernetes.io/storage-provisioner",
                "volume.kubernetes.io/selected-node",
                "volume.kubernetes.io/storage-provisioner",
            }
        ),
        foreign_spec_fields=frozenset({"volumeName"}),
    ),
    _owned("Job", "batch/v1", "jobs"),
    _owned(
        "DaemonSet",
        "apps/v1",
        "daemonsets",
        foreign_annotations=frozenset({"deprecated.daemonset.template.generation"}),  # by the API server
    ),
    Kind("Pod", "v1", "pods", Scope.ALL, Ownership.READ_ONLY, is_annotated=True),
    Kind("Node", "v1", "nodes", Scope.CLUSTER, Ownership.READ_ONLY, label=""),
    # What autoscalers say about pods: of all events on pods few are neither the kubelet's nor the scheduler's.
    Kind(
        POD_EVENT,
        "v1",
        "events",
        Scope.ALL,
        Ownership.READ_ONLY,
        label="",
        fields="involvedObject.kind=Pod,source!=kubelet,source!=default-scheduler",
    ),
    # Karpenter: the provider takes the node.
    Kind(
        NODE_EVENT,
        "v1",
        "events",
        Scope.ALL,
        Ownership.READ_ONLY,
        label="",
        fields="involvedObject.kind=Node,reason=TerminatingOnInterruption",
    ),
    _owned("Service", "v1", "services"),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", Scope.ALL, Ownership.OWNED),
    _owned("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("ConfigMap", "v1", "configmaps", Scope.SYSTEM, Ownership.UNOWNED),
    Kind(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        "endpointslices",
        Scope.SYSTEM,
        Ownership.READ_ONLY,
        label=LABEL_SERVICE_NAME,
    ),
    Kind(
        "Ingress",
        "networking.k8s.io/v1",
        "ingresses",
        Scope.SYSTEM,
        Ownership.UNOWNED,
        is_pruned=True,
        is_home_only=True,
        component=names.GATEWAY,
        foreign_annotations=GCE_ANNOTATIONS,
    ),
    _owned(
        "HTTPRoute",
        "gateway.networking.k8s.io/v1",
        "httproutes",
        is_home_only=True,
        definition="httproutes.gateway.networking.k8s.io",
    ),
    Kind(
        "ReferenceGrant",
        "gateway.networking.k8s.io/v1beta1",
        "referencegrants",
        Scope.SYSTEM,
        Ownership.UNOWNED,
        is_pruned=True,
        is_home_only=True,
        definition="referencegrants.gateway.networking.k8s.io",
    ),
    _owned(
        "PodMonitor",
        "monitoring.coreos.com/v1",
        "podmonitors",
        definition="podmonitors.monitoring.coreos.com",
    ),
    _of_notebooks("StatefulSet", "apps/v1", "statefulsets"),
    _of_notebooks(NOTEBOOK_POLICY, "networking.k8s.io/v1", "networkpolicies"),
    _of_notebooks(
        NOTEBOOK_INGRESS,
        "networking.k8s.io/v1",
        "ingresses",
        foreign_annotations=GCE_ANNOTATIONS,
    ),
)
# The CustomResourceDefinitions of kinds that a cluster may lack: each is watched by its name, so that an installation
# of it is noticed without polling.
DEFINITIONS = {
    kind.name: Kind(
        f"CustomResourceDefinition of {kind.name}",
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        Scope.CLUSTER,
        Ownership.READ_ONLY,
        is_home_only=kind.is_home_only,
        label="",
        fields=f"metadata.name={kind.definition}",
    )
    for kind in APPLIED_AND_WATCHED
    if kind.definition
}
TABLE = (*APPLIED_AND_WATCHED, *DEFINITIONS.values())
KINDS = {kind.name: kind for kind in TABLE}
UNOWNED_KINDS = frozenset(kind.name for kind in TABLE if kind.ownership == Ownership.UNOWNED)
PRUNED_KINDS = frozenset(kind.name for kind in TABLE if kind.is_pruned)
