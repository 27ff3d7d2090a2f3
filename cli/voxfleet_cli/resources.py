"""Reads VoxTTSDeployments from a cluster.

Knows: their paths, and how names and namespaces are given. Does not know: what their fields mean.
"""

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.errors import AbsentError, UsageError

GROUP = "/apis/voxfleet.dev/v1alpha1"
PLURAL = "voxttsdeployments"


def read_resources(cluster: Cluster, name: str, namespace: str, *, all_namespaces: bool) -> list[Body]:
    """Return one resource by name, or all of a namespace or of the cluster. Raises ClusterError, UsageError."""
    if all_namespaces and (name or namespace):
        raise UsageError("-A is for the resources of all namespaces: give no NAME and no -n beside it")
    if all_namespaces:
        return _listed(cluster, f"{GROUP}/{PLURAL}")
    folder = f"{GROUP}/namespaces/{namespace or cluster.namespace}/{PLURAL}"
    return [read_one(cluster, f"{folder}/{name}")] if name else _listed(cluster, folder)


def read_one(cluster: Cluster, path: str) -> Body:
    """Return one resource. Raises AbsentError, which names the remedy."""
    try:
        return cluster.get(path)
    except AbsentError as error:
        raise AbsentError(
            f"{error}; -n names another namespace, and the chart voxfleet-crds brings the kind"
        ) from error


def _listed(cluster: Cluster, path: str) -> list[Body]:
    items: list[Body] = read_one(cluster, path)["items"]
    return sorted(items, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))
