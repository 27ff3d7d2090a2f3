"""Which object is meant: its kind, its namespace and name, and with them its path on the API server.

Does not know whether the object exists.
"""

from typing import NamedTuple

from voxfleet_operator.kinds.table import KINDS
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key


class ObjectRef(NamedTuple):
    """One object in the cluster, by kind, namespace (empty for a Node) and name."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Its API path."""
        return f"{KINDS[self.kind].path(self.namespace or None)}/{self.name}"


def resource_path(key: Key) -> str:
    """API path of one VoxTTSDeployment."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
