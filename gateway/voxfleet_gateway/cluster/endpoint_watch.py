"""Keeps the addresses of the inference pods behind each regional Service, ready and not yet ready.

Knows: EndpointSlices. Does not know: the pods' state; it is polled from the pods themselves (pods/load_poller.py),
because their readiness reaches an EndpointSlice seconds later.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from voxfleet_gateway.cluster.list_watch import object_key
from voxfleet_gateway.decisions.pods.pod_state import HTTP_PORT, INTERNAL_PORT, PodAddress, PodEndpoint
from voxfleet_gateway.regions import ObjectKey

LABEL_SELECTOR = "voxfleet.dev/deployment"  # regional Services carry it, and their slices inherit it
SERVICE_LABEL = "kubernetes.io/service-name"
PATH = "/apis/discovery.k8s.io/v1/endpointslices"
HTTP_PORT_NAME, INTERNAL_PORT_NAME = "http", "internal"

JsonObject = dict[str, Any]


def endpoints_of(slice_: JsonObject) -> tuple[PodEndpoint, ...]:
    """Return the endpoints of a slice; none of one that lists host names."""
    if slice_.get("addressType") == "FQDN":
        return ()
    ports = {port.get("name"): port.get("port") for port in slice_.get("ports") or []}
    http_port = ports.get(HTTP_PORT_NAME) or HTTP_PORT
    internal_port = ports.get(INTERNAL_PORT_NAME) or INTERNAL_PORT
    return tuple(_endpoint(item, http_port, internal_port) for item in slice_.get("endpoints") or [])


def _endpoint(item: JsonObject, http_port: int, internal_port: int) -> PodEndpoint:
    conditions = item.get("conditions") or {}
    return PodEndpoint(
        # Of several addresses the first: the API says that they are fungible, and consumers use the first.
        address=PodAddress(item["addresses"][0], http_port, internal_port),
        name=(item.get("targetRef") or {}).get("name", ""),
        is_ready=conditions.get("ready") is not False,  # the API says: absent means ready
        is_terminating=bool(conditions.get("terminating")),
    )


@dataclass(slots=True)
class EndpointWatch:
    """The receiver of EndpointSlice events."""

    on_change: Callable[[Iterable[ObjectKey]], None]  # namespaces and names of the Services that changed
    services: dict[ObjectKey, ObjectKey] = field(default_factory=dict)  # slice -> Service
    slices: dict[ObjectKey, dict[ObjectKey, tuple[PodEndpoint, ...]]] = field(default_factory=dict)  # by Service

    def pods(self, service: ObjectKey) -> tuple[PodEndpoint, ...]:
        """Return all pods behind a Service, given by namespace and name."""
        # A pod that moves between slices can be in two for a moment.
        slices = self.slices.get(service, {}).values()
        return tuple({pod.address: pod for pods in slices for pod in pods}.values())

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all slices by those of a list."""
        before = {*self.slices}
        self.services, self.slices = {}, {}
        for obj in objects:
            self._put(obj)
        self.on_change(before | self.slices.keys())

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one slice."""
        self.on_change({*self._remove(object_key(obj)), self._put(obj)})

    def deleted(self, obj: JsonObject) -> None:
        """Remove one slice."""
        self.on_change(self._remove(object_key(obj)))

    def _put(self, obj: JsonObject) -> ObjectKey:
        key = object_key(obj)
        service, pods = _entry(obj)
        self.services[key] = service
        self.slices.setdefault(service, {})[key] = pods
        return service

    def _remove(self, key: ObjectKey) -> set[ObjectKey]:
        service = self.services.pop(key, None)
        if service is None:
            return set()
        self.slices[service].pop(key)
        if not self.slices[service]:
            del self.slices[service]
        return {service}


def _entry(obj: JsonObject) -> tuple[ObjectKey, tuple[PodEndpoint, ...]]:
    namespace, _name = object_key(obj)
    service = (obj["metadata"].get("labels") or {}).get(SERVICE_LABEL, "")
    return (namespace, service), endpoints_of(obj)
