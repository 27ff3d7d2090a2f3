"""Keeps the addresses of the inference pods behind each regional Service, ready and not yet ready.

Knows: EndpointSlices. Does not know: what the pods are doing; that is asked of the pods themselves, because their
readiness reaches an EndpointSlice seconds after the fact.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voxfleet_gateway.cluster.list_watch import ObjectKey, object_key

LABEL_SELECTOR = "voxfleet.dev/deployment"  # regional Services carry it, and their slices inherit it
SERVICE_LABEL = "kubernetes.io/service-name"
PATH = "/apis/discovery.k8s.io/v1/endpointslices"
HTTP_PORT_NAME, HTTP_PORT = "http", 6006
INTERNAL_PORT_NAME, INTERNAL_PORT = "internal", 9091

JsonObject = dict[str, Any]
ServiceKey = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where one inference pod can be reached."""

    ip: str
    http_port: int = HTTP_PORT
    internal_port: int = INTERNAL_PORT

    def url(self, path: str) -> str:
        """Of the API."""
        return f"http://{self._host}:{self.http_port}{path}"

    def internal_url(self, path: str) -> str:
        """Of the internal port."""
        return f"http://{self._host}:{self.internal_port}{path}"

    @property
    def _host(self) -> str:
        return f"[{self.ip}]" if ":" in self.ip else self.ip


@dataclass(frozen=True, slots=True)
class PodEndpoint:
    """One pod and what Kubernetes says of it."""

    address: PodAddress
    name: str = ""
    ready: bool = False
    terminating: bool = False


def endpoints_of(slice_: JsonObject) -> tuple[PodEndpoint, ...]:
    """Every endpoint of a slice that has an IP address."""
    if slice_.get("addressType") == "FQDN":
        return ()
    ports = {port.get("name"): port.get("port") for port in slice_.get("ports") or []}
    http_port = ports.get(HTTP_PORT_NAME) or HTTP_PORT
    internal_port = ports.get(INTERNAL_PORT_NAME) or INTERNAL_PORT
    return tuple(_endpoint(item, http_port, internal_port) for item in slice_.get("endpoints") or [])


def _endpoint(item: JsonObject, http_port: int, internal_port: int) -> PodEndpoint:
    conditions = item.get("conditions") or {}
    return PodEndpoint(
        address=PodAddress(item["addresses"][0], http_port, internal_port),
        name=(item.get("targetRef") or {}).get("name", ""),
        ready=conditions.get("ready") is not False,  # absent means ready
        terminating=bool(conditions.get("terminating")),
    )


@dataclass(slots=True)
class EndpointWatch:
    """The receiver of EndpointSlice events."""

    on_change: Callable[[], None]
    slices: dict[ObjectKey, tuple[ServiceKey, tuple[PodEndpoint, ...]]] = field(default_factory=dict)
    by_service: dict[ServiceKey, tuple[PodEndpoint, ...]] = field(default_factory=dict)

    def pods(self, service: ServiceKey) -> tuple[PodEndpoint, ...]:
        """All pods behind a Service."""
        return self.by_service.get(service, ())

    def replaced(self, objects: list[JsonObject]) -> None:
        """Start from what a list returned."""
        self.slices = {object_key(obj): _entry(obj) for obj in objects}
        self._publish()

    def changed(self, obj: JsonObject) -> None:
        """Take one new version."""
        self.slices[object_key(obj)] = _entry(obj)
        self._publish()

    def deleted(self, obj: JsonObject) -> None:
        """Forget one slice."""
        self.slices.pop(object_key(obj), None)
        self._publish()

    def _publish(self) -> None:
        """Merge slices by Service; a pod that moves between slices can be in two for a moment."""
        merged: dict[ServiceKey, dict[PodAddress, PodEndpoint]] = {}
        for service, pods in self.slices.values():
            merged.setdefault(service, {}).update({pod.address: pod for pod in pods})
        self.by_service = {service: tuple(pods.values()) for service, pods in merged.items()}
        self.on_change()


def _entry(obj: JsonObject) -> tuple[ServiceKey, tuple[PodEndpoint, ...]]:
    namespace, _name = object_key(obj)
    service = (obj["metadata"].get("labels") or {}).get(SERVICE_LABEL, "")
    return (namespace, service), endpoints_of(obj)
