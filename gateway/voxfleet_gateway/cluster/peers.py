"""The other gateways of this region: ready endpoints of the gateways' own Service.

Knows: which of them is this one. Does not know: what is sent to them (dispatch/handover.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from voxfleet_gateway.cluster.endpoint_watch import PATH, EndpointWatch
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.regions import ObjectKey


def peers_path(namespace: str) -> str:
    """Return the path of the EndpointSlices of one namespace."""
    group, _, resource = PATH.rpartition("/")
    return f"{group}/namespaces/{namespace}/{resource}"


@dataclass(slots=True)
class Peers:
    """What a watch of the Service's EndpointSlices has found so far."""

    service: ObjectKey
    own_name: str  # of this gateway's pod
    configured_replicas: int  # until endpoints are known
    on_change: Callable[[], None]
    endpoints: EndpointWatch = field(init=False)

    def __post_init__(self) -> None:
        """Let each change of the Service's endpoints be reported."""

        def changed(services: Iterable[ObjectKey]) -> None:
            if self.service in {*services}:
                self.on_change()

        self.endpoints = EndpointWatch(changed)

    def others(self) -> list[PodAddress]:
        """Return the addresses of the other gateways that are ready."""
        found = self.endpoints.pods(self.service)
        return [
            each.address for each in found if each.is_ready and not each.is_terminating and each.name != self.own_name
        ]

    def replicas(self) -> int:
        """Return how many gateways share the region's pods and bounds: the ready ones, and this one."""
        if not self.endpoints.pods(self.service):
            return self.configured_replicas
        return len(self.others()) + 1
