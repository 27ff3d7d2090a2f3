"""One object to apply, as a value, and the metadata that every object of a resource has.

Knows its kind, name, labels and owner. Does not know what it contains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.remote.peer_domains import NO_PEERS, AllowedPeers
from voxfleet_operator.kinds import KINDS, ObjectRef, Ownership, Scope
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.resources import Resource

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """How clients, scrapers and proxies of the cluster reach its parts.

    `gateway_tls`: port 6006 speaks TLS. `annotations`: of every Ingress, over those of its class. `pod_monitor_labels`:
    by which a Prometheus selects PodMonitors. `metrics_from`, `proxies_from`: peers of NetworkPolicies that may connect
    to metrics and to notebooks; empty: all.
    """

    gateway_service: str = "voxfleet-gateway"
    gateway_tls: bool = False
    allowed_domains: tuple[str, ...] = ()
    has_notebooks: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_monitor_labels: Mapping[str, str] = field(default_factory=dict)
    metrics_from: tuple[Body, ...] = ()
    proxies_from: tuple[Body, ...] = ()


@dataclass(frozen=True, slots=True)
class Installation:
    """Namespaces and addresses of the VoxFleet installation in one cluster, and what it gives every pod.

    `kubeconfig`: NAME/KEY of the Secret by which a remote cluster is reached, empty for the operator's own.
    `entry`: what ways in beside the Service depend on.
    """

    system_namespace: str
    demand_namespace: str
    gateway_host: str
    pod: PodSettings
    allowed_host_paths: tuple[str, ...] = ()
    kubeconfig: str = ""
    allowed_peers: AllowedPeers = NO_PEERS
    entry: Entry = field(default_factory=Entry)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object to apply."""

    ref: ObjectRef
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return self.ref.kind

    @property
    def region(self) -> str:
        """Name of its region, by its label; empty for objects of the whole resource."""
        name: str = self.body["metadata"]["labels"].get(names.LABEL_REGION, "")
        return name


def manifest_of(  # noqa: PLR0913 - the parts of an object
    resource: Resource,
    installation: Installation,
    kind: str,
    name: str,
    labels: dict[str, str],
    *,
    annotations: dict[str, str] | None = None,
    **content: Any,
) -> Manifest:
    """Return an object with the metadata that its row in the table of kinds asks for."""
    row = KINDS[kind]
    # Where owner references do not reach, the uid distinguishes this resource's objects from those of an earlier one.
    namespace = {Scope.SYSTEM: installation.system_namespace, Scope.DEMAND: installation.demand_namespace}.get(
        row.scope, resource.key.namespace
    )
    metadata: dict[str, Any] = {"namespace": namespace, "name": name, "labels": labels}
    if installation.kubeconfig:
        metadata["labels"] = labels | {names.LABEL_REMOTE: "true"}
        recorded = {names.ANNOTATION_UID: resource.uid, names.ANNOTATION_KUBECONFIG: installation.kubeconfig}
        annotations = recorded | (annotations or {})
    elif row.ownership == Ownership.OWNED:
        metadata["ownerReferences"] = [resource.owner_reference]
    else:
        annotations = {names.ANNOTATION_UID: resource.uid} | (annotations or {})
    metadata |= {"annotations": annotations} if annotations else {}
    body = {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata, **content}
    return Manifest(ObjectRef(kind, namespace, name), body)
