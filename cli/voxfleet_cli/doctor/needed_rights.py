"""Which rights the operator, a hub and users need: three tables.

Knows: verbs by kind and scope, as the chart grants them (a test compares the operator's with its own table of kinds).
Does not know: how a right is asked for.
"""

from typing import NamedTuple

ALL, SYSTEM, DEMAND = "", "system", "demand"


class Need(NamedTuple):
    """Verbs on one resource, in all namespaces or in one of the installation's."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    scope: str = ALL
    purpose: str = ""


_READ = ("list", "watch")
_APPLY = ("get", "list", "watch", "create", "patch")
_OWN = (*_APPLY, "delete")

OPERATOR_NEEDS = (
    Need("voxfleet.dev", "voxttsdeployments", ("get", "list", "watch", "patch")),
    Need("voxfleet.dev", "voxttsdeployments/status", ("patch",)),
    Need("apps", "deployments", _OWN),
    Need("apps", "daemonsets", _OWN),
    Need("batch", "jobs", _OWN),
    Need("", "persistentvolumeclaims", _OWN),
    Need("", "services", _OWN),
    Need("networking.k8s.io", "networkpolicies", _APPLY),
    Need("policy", "poddisruptionbudgets", _OWN),
    Need("gateway.networking.k8s.io", "httproutes", _OWN),
    Need("monitoring.coreos.com", "podmonitors", _OWN),
    Need("", "pods", ("list", "watch", "patch")),
    Need("", "nodes", _READ),
    Need("", "events", ("list", "watch", "create", "patch")),
    Need("", "configmaps", _OWN, SYSTEM),
    Need("networking.k8s.io", "ingresses", _OWN, SYSTEM),
    Need("gateway.networking.k8s.io", "referencegrants", _OWN, SYSTEM),
    Need("discovery.k8s.io", "endpointslices", _READ, SYSTEM),
    Need("coordination.k8s.io", "leases", _OWN, DEMAND),
)

# Of the account that a remote region's kubeconfig has, in the region's cluster: without a garbage collector that knows
# the resource, everything is deleted by it.
HUB_NEEDS = (
    Need("apps", "deployments", _OWN),
    Need("apps", "daemonsets", _OWN),
    Need("apps", "replicasets", ("list",)),
    Need("batch", "jobs", _OWN),
    Need("", "persistentvolumeclaims", _OWN),
    Need("", "services", _OWN),
    Need("networking.k8s.io", "networkpolicies", _OWN),
    Need("policy", "poddisruptionbudgets", _OWN),
    Need("monitoring.coreos.com", "podmonitors", _OWN),
    Need("", "pods", ("list", "watch", "patch")),
    Need("", "nodes", _READ),
    Need("", "events", _READ),
    Need("storage.k8s.io", "storageclasses", ("list",)),
    Need("autoscaling", "horizontalpodautoscalers", ("list",)),
    Need("", "configmaps", _OWN, SYSTEM),
    Need("", "pods/proxy", ("get",), SYSTEM),
    Need("discovery.k8s.io", "endpointslices", _READ, SYSTEM),
    Need("coordination.k8s.io", "leases", _OWN, DEMAND),
)

USER_NEEDS = (
    Need("voxfleet.dev", "voxttsdeployments", ("get", "list"), ALL, "status, explain, cost"),
    Need("coordination.k8s.io", "leases", ("list", "patch"), DEMAND, "wake, sleep"),
    Need("", "pods", ("list",), SYSTEM, "speak, voices, route explain"),
    Need("", "pods/portforward", ("create",), SYSTEM, "speak, voices, route explain"),
    Need("", "secrets", ("get", "create", "update"), SYSTEM, "keys, route explain"),
    Need("", "pods/log", ("get",), SYSTEM, "report"),
)
