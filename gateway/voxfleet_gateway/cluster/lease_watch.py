"""Keeps a copy of the demand Leases, and patches them.

Knows: their path, that a patch can conflict with another gateway's.
Does not know: when a Lease is renewed (demand_lease.py decides), or for which requests.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from voxfleet_gateway.cluster.list_watch import object_key
from voxfleet_gateway.decisions.demand_lease import Activity, Lease, parse_lease, renewal_patch, sleep_patch
from voxfleet_gateway.regions import ObjectKey

JsonObject = dict[str, Any]


def leases_path(demand_namespace: str) -> str:
    """Return the path of the Leases."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{demand_namespace}/leases"


class LeaseApi(Protocol):
    """The calls of KubernetesApi that a renewal needs."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """Return one object."""

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        """Patch an object and return its new state."""


@dataclass(slots=True)
class LeaseWatch:
    """The receiver of Lease events, and the only part of the gateway that writes to the API server."""

    api: LeaseApi
    holder: str
    on_change: Callable[[Iterable[ObjectKey]], None]  # namespaces and names of the Leases that changed
    leases: dict[ObjectKey, Lease] = field(default_factory=dict)

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all Leases by those of a list."""
        before = self.leases
        self.leases = {object_key(obj): parse_lease(obj) for obj in objects}
        self.on_change(before.keys() | self.leases.keys())

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one Lease."""
        self.leases[object_key(obj)] = parse_lease(obj)
        self.on_change((object_key(obj),))

    def deleted(self, obj: JsonObject) -> None:
        """Remove one Lease."""
        self.leases.pop(object_key(obj), None)
        self.on_change((object_key(obj),))

    async def renew(self, lease: Lease, now: datetime) -> None:
        """Patch the Lease. Raises ClusterConflictError when it changed since, and the other cluster errors."""
        path = f"{leases_path(lease.namespace)}/{lease.name}"
        self._keep(await self.api.merge_patch(path, renewal_patch(lease, now, self.holder)))

    async def ask_sleep(self, lease: Lease, activity: Activity, now: datetime) -> None:
        """Ask the operator to let the region sleep. Raises ClusterConflictError, and the other cluster errors."""
        path = f"{leases_path(lease.namespace)}/{lease.name}"
        self._keep(await self.api.merge_patch(path, sleep_patch(lease, activity, now)))

    async def refresh(self, lease: Lease) -> None:
        """Read the Lease again, as after a conflict. Raises the cluster errors."""
        self._keep(await self.api.get(f"{leases_path(lease.namespace)}/{lease.name}"))

    def _keep(self, obj: JsonObject) -> None:
        """Store a response, unless the watch has delivered a newer version meanwhile."""
        known = self.leases.get(object_key(obj))
        fresh = parse_lease(obj)
        if known is None or int(fresh.resource_version) >= int(known.resource_version):
            self.changed(obj)
