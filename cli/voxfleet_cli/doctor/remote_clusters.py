"""Observes the clusters of remote regions, each through the kubeconfig that its resource names.

Knows: which regions share a kubeconfig, what is read there. Does not know: how a kubeconfig is used
(demand/regions.py), what is right or wrong (checks/remote_clusters.py).
"""

from collections.abc import Iterable
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.regions import cluster_of
from voxfleet_cli.doctor.access_reviews import rights_of
from voxfleet_cli.doctor.needed_rights import DEMAND, HUB_NEEDS, SYSTEM
from voxfleet_cli.doctor.observed import Body, Unread
from voxfleet_cli.doctor.remote_facts import RemoteCluster, RemoteRegion
from voxfleet_cli.errors import ClusterError, ForbiddenError

PATHS = {
    "pods": "/api/v1/namespaces/{system}/pods?labelSelector=" + quote("app.kubernetes.io/name=voxfleet"),
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{demand}/leases",
}


def observe_remote_clusters(
    home: Cluster, resources: Iterable[Body], system: str, demand: str
) -> tuple[RemoteCluster, ...]:
    """Return every cluster that resources name by a kubeconfig."""
    found: dict[tuple[str, str, str], tuple[Body, list[RemoteRegion]]] = {}
    for resource in resources:
        metadata = resource["metadata"]
        for region in resource["spec"].get("regions") or []:
            if reference := region.get("kubeConfigSecretRef"):
                key = (metadata["namespace"], reference["name"], reference.get("key", "value"))
                place = RemoteRegion(metadata["namespace"], metadata["name"], region["name"])
                found.setdefault(key, (region, []))[1].append(place)
    return tuple(
        _observed(home, region, f"{namespace}/{name}", tuple(places), system, demand)
        for (namespace, name, _), (region, places) in found.items()
    )


def _observed(  # noqa: PLR0913, PLR0917  # what a cluster is found by, and the installation's namespaces
    home: Cluster, region: Body, secret: str, regions: tuple[RemoteRegion, ...], system: str, demand: str
) -> RemoteCluster:
    try:
        cluster = cluster_of(region, regions[0].namespace, home)
        version = cluster.get("/version")
    except ClusterError as error:
        # An own right that is missing, or a network that does not lead there, says nothing of the operator's.
        is_local = isinstance(error.__cause__, (ForbiddenError, OSError, HTTPError))
        return RemoteCluster(secret, regions, str(error), is_local)
    objects: dict[str, list[Body] | Unread] = {
        name: _listed(cluster, path.format(system=system, demand=demand)) for name, path in PATHS.items()
    }
    rights = rights_of(cluster, "", HUB_NEEDS, {SYSTEM: system, DEMAND: demand}, "hub")
    return RemoteCluster(
        secret, regions, version=version, clock_ahead_seconds=cluster.clock_ahead_seconds,
        rights=tuple(rights), objects=objects,
    )  # fmt: skip


def _listed(cluster: Cluster, path: str) -> list[Body] | Unread:
    try:
        return [*cluster.get(path)["items"]]
    except ClusterError as error:
        return Unread(str(error))
