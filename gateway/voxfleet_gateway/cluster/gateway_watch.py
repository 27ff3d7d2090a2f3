"""Counts the gateways that are ready, among which the tenants' limits are divided.

Knows: the EndpointSlices of the chart's Service of all gateways. Does not know: limits.
"""

from dataclasses import dataclass, field
from typing import Any

from voxfleet_gateway.cluster.endpoint_watch import endpoints_of
from voxfleet_gateway.cluster.list_watch import object_key
from voxfleet_gateway.regions import ObjectKey

LABEL_SELECTOR = "kubernetes.io/service-name=voxfleet-gateway"

JsonObject = dict[str, Any]


def gateways_path(system_namespace: str) -> str:
    """Return the path of the EndpointSlices."""
    return f"/apis/discovery.k8s.io/v1/namespaces/{system_namespace}/endpointslices"


@dataclass(slots=True)
class GatewayWatch:
    """The receiver of EndpointSlice events."""

    slices: dict[ObjectKey, frozenset[str]] = field(default_factory=dict)  # names of ready pods
    ready: int = 0  # 0: none is known, as outside a cluster

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all slices by those of a list."""
        self.slices = {object_key(obj): _ready(obj) for obj in objects}
        self._count()

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one slice."""
        self.slices[object_key(obj)] = _ready(obj)
        self._count()

    def deleted(self, obj: JsonObject) -> None:
        """Remove one slice."""
        self.slices.pop(object_key(obj), None)
        self._count()

    def _count(self) -> None:
        # In a dual-stack cluster a pod is in one slice per address family.
        self.ready = len(frozenset[str]().union(*self.slices.values()))


def _ready(obj: JsonObject) -> frozenset[str]:
    pods = [each for each in endpoints_of(obj) if each.is_ready and not each.is_terminating]
    return frozenset(each.name or each.address.ip for each in pods)
