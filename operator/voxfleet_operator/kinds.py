"""The table of Kubernetes kinds that the operator reads or writes: one row for each.

Knows API paths, where a kind is watched, whether the operator applies and deletes its objects, and which of their
fields other writers own. The verbs that the chart's roles must grant follow from the row (tests/unit/charts compares
them). Does not know what an object contains.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from voxfleet_operator import names
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key

# Rows of their own, because each is another watch. Their objects are known by what they are about, not by their names.
POD_EVENT, NODE_EVENT = "Event of a Pod", "Event of a Node"
EVENTS = frozenset({POD_EVENT, NODE_EVENT})

LABEL_SERVICE_NAME = "kubernetes.io/service-name"  # set by Kubernetes on the EndpointSlices of a Service


class Scope(StrEnum):
    """Namespaces in which a kind is watched, and to which its grant is limited."""

    CLUSTER = "no namespace"
    ALL = "all namespaces"
    SYSTEM = "the namespace of the gateways"
    DEMAND = "the namespace of the demand Leases"


class Ownership(StrEnum):
    """What ties an object to its resource."""

    OWNED = "an owner reference: same namespace, deleted by the garbage collector"
    UNOWNED = "labels only: another namespace, where owner references do not reach; deleted by the operator"
    READ_ONLY = "the operator never writes it"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    `is_per_region`: some objects of the kind exist once per region and are deleted when the region leaves the spec.
    `is_urgent`: a change is reconciled before all queued resources.
    `is_annotated`: the operator writes annotations on objects that another controller owns.
    `label`: objects with this label are watched; empty: all. `fields`: and of those the ones that a field selector
    names.
    `foreign_annotations`, `foreign_spec_fields`: written by others in normal operation, so no drift.
    """

    name: str
    api_version: str
    plural: str
    scope: Scope
    ownership: Ownership
    is_per_region: bool = False
    is_urgent: bool = False
    is_annotated: bool = False
    label: str = names.LABEL_DEPLOYMENT
    fields: str = ""
    foreign_annotations: frozenset[str] = frozenset()
    foreign_spec_fields: frozenset[str] = frozenset()

    @property
    def is_applied(self) -> bool:
        """Whether the operator creates and patches objects of this kind."""
        return self.ownership != Ownership.READ_ONLY

    @property
    def is_of_a_resource(self) -> bool:
        """Whether its labels name a VoxTTSDeployment."""
        return self.label == names.LABEL_DEPLOYMENT

    @property
    def verbs(self) -> frozenset[str]:
        """RBAC verbs that the operator needs, in the namespaces of `scope`."""
        if not self.is_applied:
            return frozenset({"list", "watch", "patch"} if self.is_annotated else {"list", "watch"})
        # Server-side apply is authorized as patch, and as create when the object is new.
        applied = frozenset({"get", "list", "watch", "create", "patch"})
        is_deleted = self.is_per_region or self.ownership == Ownership.UNOWNED
        return applied | {"delete"} if is_deleted else applied

    def path(self, namespace: str | None) -> str:
        """API path of the kind's collection in one namespace, or in all of them (None)."""
        # The core group has no name: its version alone, under /api.
        prefix = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        return f"{prefix}/namespaces/{namespace}/{self.plural}" if namespace else f"{prefix}/{self.plural}"


TABLE = (
    Kind(
        "Lease",
        "coordination.k8s.io/v1",
        "leases",
        Scope.DEMAND,
        Ownership.UNOWNED,
        is_per_region=True,
        is_urgent=True,  # a renewal may be a request that a gateway holds
        foreign_annotations=frozenset({names.ANNOTATION_ASLEEP_SINCE}),
        foreign_spec_fields=frozenset({"renewTime", "holderIdentity", "acquireTime", "leaseTransitions"}),
    ),
    Kind(
        "Deployment",
        "apps/v1",
        "deployments",
        Scope.ALL,
        Ownership.OWNED,
        is_per_region=True,
        foreign_annotations=frozenset({"deployment.kubernetes.io/revision"}),  # by the Deployment controller
    ),
    Kind(
        "PersistentVolumeClaim",
        "v1",
        "persistentvolumeclaims",
        Scope.ALL,
        Ownership.OWNED,
        is_per_region=True,
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
    Kind("Job", "batch/v1", "jobs", Scope.ALL, Ownership.OWNED, is_per_region=True),
    Kind(
        "DaemonSet",
        "apps/v1",
        "daemonsets",
        Scope.ALL,
        Ownership.OWNED,
        is_per_region=True,
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
    Kind("Service", "v1", "services", Scope.ALL, Ownership.OWNED, is_per_region=True),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", Scope.ALL, Ownership.OWNED),
    Kind(
        "PodDisruptionBudget",
        "policy/v1",
        "poddisruptionbudgets",
        Scope.ALL,
        Ownership.OWNED,
        is_per_region=True,
    ),
    Kind("ConfigMap", "v1", "configmaps", Scope.SYSTEM, Ownership.UNOWNED),
    Kind(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        "endpointslices",
        Scope.SYSTEM,
        Ownership.READ_ONLY,
        label=LABEL_SERVICE_NAME,
    ),
)
KINDS = {kind.name: kind for kind in TABLE}
UNOWNED_KINDS = frozenset(kind.name for kind in TABLE if kind.ownership == Ownership.UNOWNED)
PER_REGION_KINDS = frozenset(kind.name for kind in TABLE if kind.is_per_region)


class ObjectRef(NamedTuple):
    """One object in the cluster, by kind, namespace (empty for a Node) and name."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Its API path."""
        return f"{KINDS[self.kind].path(self.namespace or None)}/{self.name}"


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch: a kind, in one namespace or in all (None), narrowed by a label selector and a field selector."""

    kind: str
    selector: str
    namespace: str | None = None
    fields: str = ""

    @property
    def path(self) -> str:
        """API path that is listed and watched."""
        return KINDS[self.kind].path(self.namespace)


def watches(system_namespace: str, demand_namespace: str, gateway_service: str) -> tuple[Watch, ...]:
    """One watch per row of the table; kopf watches VoxTTSDeployments (cluster/own_kind.py)."""
    namespaces = {Scope.SYSTEM: system_namespace, Scope.DEMAND: demand_namespace}
    values = {LABEL_SERVICE_NAME: f"{LABEL_SERVICE_NAME}={gateway_service}"}
    return tuple(
        Watch(kind.name, values.get(kind.label, kind.label), namespaces.get(kind.scope), kind.fields) for kind in TABLE
    )


def resource_path(key: Key) -> str:
    """API path of one VoxTTSDeployment."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
