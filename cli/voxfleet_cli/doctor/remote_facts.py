"""A cluster of remote regions as it was observed through its kubeconfig. Pure.

Knows: which values checks compare. Does not know: clusters (remote_clusters.py), what is right or wrong
(checks/remote_clusters.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_cli.doctor.observed import Body, Right, Unread


@dataclass(frozen=True, slots=True)
class RemoteRegion:
    """A region of a resource that is in another cluster."""

    namespace: str
    resource: str
    region: str

    @property
    def what(self) -> str:
        """Return its name for messages."""
        return f"region {self.region} of {self.namespace}/{self.resource}"


@dataclass(frozen=True, slots=True)
class RemoteCluster:
    """One kubeconfig's cluster, with the regions that are there. `error`: why it can't be used."""

    secret: str  # NAMESPACE/NAME
    regions: tuple[RemoteRegion, ...]
    error: str = ""
    is_local_error: bool = False  # of this machine or user; the operator may have none
    version: Body = field(default_factory=dict)
    clock_ahead_seconds: float = 0.0  # of its API server's clock, before this machine's
    rights: tuple[Right, ...] = ()  # of the kubeconfig's account
    objects: Mapping[str, list[Body] | Unread] = field(default_factory=dict)  # `pods`, `leases`

    def items(self, name: str) -> list[Body] | None:
        """Return a list of objects; None where it could not be read."""
        found = self.objects.get(name)
        return found if isinstance(found, list) else None
