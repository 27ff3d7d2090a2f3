"""The regions of a resource that a command is about, each with the cluster that its demand Lease is in.

Knows: `spec.regions`, the Secrets of remote regions, which fields of their kubeconfigs are used, the labels of Leases.
Does not know: what is written to a Lease.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import yaml

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.demand.lease import DemandLease, parse_lease
from voxfleet_cli.errors import ClusterError, ConflictError, RefusedError, UsageError
from voxfleet_cli.kubeconfig import UNUSABLE, fault_of

DEMAND_NAMESPACE = "voxfleet-demand"
ATTEMPTS = 5  # each after another writer, such as a gateway, was first
# Others would run a program or read files on this machine, and the Secret's author is not an administrator.
CLUSTER_FIELDS = frozenset({"server", "certificate-authority-data", "tls-server-name"})
USER_FIELDS = frozenset({"token", "client-certificate-data", "client-key-data"})


@dataclass(frozen=True, slots=True)
class DemandRegion:
    """One region of a resource."""

    namespace: str
    resource: str
    name: str
    cluster: Cluster
    demand_namespace: str = DEMAND_NAMESPACE

    def lease(self) -> DemandLease:
        """Return the region's demand Lease. Raises ClusterError, RefusedError."""
        labels = {"deployment": self.resource, "namespace": self.namespace, "region": self.name}
        selector = ",".join(f"voxfleet.dev/{name}={value}" for name, value in labels.items())
        found = self.cluster.get(f"{self._folder}?{urlencode({'labelSelector': selector})}")["items"]
        if not found:
            raise RefusedError(
                f"region {self.name} has no demand Lease in namespace {self.demand_namespace} yet; "
                f"`voxfleet explain -n {self.namespace} {self.resource}` has the reason, "
                "--demand-namespace names another"
            )
        return parse_lease(found[0])

    def write(self, patch_of: Callable[[DemandLease, datetime], Body]) -> tuple[DemandLease, datetime]:
        """Patch the newest version of the Lease; return it as written, and the time of the write."""
        for _ in range(ATTEMPTS):
            lease = self.lease()
            now = self._now()
            try:
                return parse_lease(self.cluster.merge(f"{self._folder}/{lease.name}", patch_of(lease, now))), now
            except ConflictError:
                continue
        raise ClusterError(f"the demand Lease of region {self.name} was changed {ATTEMPTS} times meanwhile; try again")

    @property
    def _folder(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.demand_namespace}/leases"

    def _now(self) -> datetime:
        """Return the present by the API server's clock, where this machine's is off: others compare the times."""
        return datetime.now(UTC) + timedelta(seconds=self.cluster.clock_ahead_seconds)


def regions_of(
    resource: Mapping[str, Any], wanted: list[str], home: Cluster, demand_namespace: str
) -> list[DemandRegion]:
    """Return the regions of those names, or all. Raises UsageError, RefusedError, ClusterError."""
    specs = {each["name"]: each for each in resource["spec"]["regions"]}
    unknown = [name for name in wanted if name not in specs]
    if unknown:
        raise UsageError(f"--region must be one of {', '.join(specs)}, not {unknown[0]!r}")
    metadata = resource["metadata"]
    return [
        DemandRegion(
            metadata["namespace"],
            metadata["name"],
            name,
            cluster_of(specs[name], metadata["namespace"], home),
            demand_namespace,
        )
        for name in wanted or specs
    ]


def cluster_of(region: Mapping[str, Any], namespace: str, home: Cluster) -> Cluster:
    """Return the cluster that a region is in. Raises ClusterError, which names the Secret of its kubeconfig."""
    reference = region.get("kubeConfigSecretRef")
    if not reference:
        return home
    name, key = reference["name"], reference.get("key", "value")
    where = f"region {region['name']} is in another cluster: its kubeconfig, Secret {namespace}/{name}, key {key!r},"
    try:
        found = home.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        content = yaml.safe_load(base64.b64decode(found["data"][key], validate=True))
        return Cluster(content=inline_only(content))
    except ClusterError as error:
        raise ClusterError(f"{where} can't be read: {error}; --region names the other regions") from error
    except UNUSABLE as error:
        raise ClusterError(f"{where} is not usable: {type(error).__name__}: {fault_of(error)}") from error


def inline_only(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig of the current context's server and inline credentials alone. Raises KeyError."""
    context = _entry(content, "contexts", "context", content["current-context"])
    cluster = _entry(content, "clusters", "cluster", context["cluster"])
    user = _entry(content, "users", "user", context["user"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "remote",
        "contexts": [{"name": "remote", "context": {"cluster": "remote", "user": "remote"}}],
        "clusters": [{"name": "remote", "cluster": {k: v for k, v in cluster.items() if k in CLUSTER_FIELDS}}],
        "users": [{"name": "remote", "user": {k: v for k, v in user.items() if k in USER_FIELDS}}],
    }


def _entry(content: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    found = next((each for each in content[plural] if each["name"] == name), None)
    if found is None:
        raise KeyError(f"{plural} has no entry named {name!r}")
    entry: Mapping[str, Any] = found[singular]
    return entry
