"""The kinds that the operator touches: where they live, and which of them it watches.

Knows API paths and label selectors. Does not know contents.
"""

from dataclasses import dataclass

from voxfleet_operator.names import LABEL_DEPLOYMENT
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key

PREFIXES = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
}


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch: a kind, in one namespace or in all, narrowed by labels."""

    kind: str
    selector: str
    namespace: str | None = None

    @property
    def path(self) -> str:
        """Where it is listed."""
        prefix, plural = PREFIXES[self.kind]
        return f"{prefix}/namespaces/{self.namespace}/{plural}" if self.namespace else f"{prefix}/{plural}"


def watches(system_namespace: str, demand_namespace: str, gateway_service: str) -> tuple[Watch, ...]:
    """Everything beside our own kind, which kopf watches."""
    of_gateways = f"kubernetes.io/service-name={gateway_service}"
    return (
        Watch("Lease", LABEL_DEPLOYMENT, demand_namespace),
        Watch("Deployment", LABEL_DEPLOYMENT),
        Watch("Pod", LABEL_DEPLOYMENT),
        Watch("Service", LABEL_DEPLOYMENT),
        Watch("NetworkPolicy", LABEL_DEPLOYMENT),
        Watch("ConfigMap", LABEL_DEPLOYMENT, system_namespace),
        Watch("EndpointSlice", of_gateways, system_namespace),
    )


def object_path(kind: str, namespace: str, name: str) -> str:
    """Where one object lives."""
    prefix, plural = PREFIXES[kind]
    return f"{prefix}/namespaces/{namespace}/{plural}/{name}"


def resource_path(key: Key) -> str:
    """Where one resource of ours lives."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
