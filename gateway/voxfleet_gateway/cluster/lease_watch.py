"""Keeps the demand Leases, and renews them.

Knows: where Leases are, that a patch can lose against another gateway's. Does not know: when to renew
(demand_lease.py decides) or for whom.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from voxfleet_gateway.cluster.list_watch import ObjectKey, object_key
from voxfleet_gateway.decisions.demand_lease import Lease, parse_lease, renewal_patch

JsonObject = dict[str, Any]


def leases_path(demand_namespace: str) -> str:
    """Where the Leases are."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{demand_namespace}/leases"


class PatchesLeases(Protocol):
    """The part of the API that a renewal needs."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """One object."""

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        """The patched object."""


@dataclass(slots=True)
class LeaseWatch:
    """The receiver of Lease events, and the only writer the gateway has."""

    api: PatchesLeases
    holder: str
    on_change: Callable[[], None]
    leases: dict[ObjectKey, Lease] = field(default_factory=dict)

    def replaced(self, objects: list[JsonObject]) -> None:
        """Start from what a list returned."""
        self.leases = {object_key(obj): parse_lease(obj) for obj in objects}
        self.on_change()

    def changed(self, obj: JsonObject) -> None:
        """Take one new version."""
        self.leases[object_key(obj)] = parse_lease(obj)
        self.on_change()

    def deleted(self, obj: JsonObject) -> None:
        """Forget one Lease."""
        self.leases.pop(object_key(obj), None)
        self.on_change()

    async def renew(self, lease: Lease, now: datetime) -> None:
        """Patch the Lease; a conflict or any other failure is the caller's to decide about."""
        path = f"{leases_path(lease.namespace)}/{lease.name}"
        self._keep(await self.api.merge_patch(path, renewal_patch(lease, now, self.holder)))

    async def refresh(self, lease: Lease) -> None:
        """Read the Lease again, after a conflict."""
        self._keep(await self.api.get(f"{leases_path(lease.namespace)}/{lease.name}"))

    def _keep(self, obj: JsonObject) -> None:
        """Take an answer, unless the watch has brought something newer meanwhile."""
        known = self.leases.get(object_key(obj))
        fresh = parse_lease(obj)
        if known is None or int(fresh.resource_version) >= int(known.resource_version):
            self.changed(obj)
