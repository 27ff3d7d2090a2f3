"""Everything the operator has seen, as small frozen values, and whose turn it is when something changes.

Knows objects by kind, namespace and name, and which resource each belongs to. Whole objects are not kept.
Does not decide anything; it only calls for the resource concerned.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.kinds import Watch
from voxfleet_operator.cluster.parsing import (
    GatewayAddress,
    LeaseFacts,
    ObjectState,
    gateway_addresses,
    lease_facts,
    object_seen,
    pod_seen,
    workload_seen,
)
from voxfleet_operator.decisions.idle_timers import clamp_renewal
from voxfleet_operator.decisions.observed import LeaseState, PodState, WorkloadState
from voxfleet_operator.resources import Key, Resource

Body = dict[str, Any]
ObjectRef = tuple[str, str, str]  # kind, namespace, name

# Kinds that live in namespaces of the installation, not beside the resource.
UNOWNED_KINDS = ("Lease", "ConfigMap")


@dataclass(slots=True)
class Store:
    """What was seen. `call` is told which resource to look at again, `call_first` which before all others."""

    call: Callable[[Key], None]
    call_first: Callable[[Key], None]
    gateway_port: int
    clock: Callable[[], float] = time.time
    resources: dict[Key, Resource] = field(default_factory=dict)
    objects: dict[ObjectRef, ObjectState] = field(default_factory=dict)
    owners: dict[ObjectRef, Key] = field(default_factory=dict)
    objects_of: dict[Key, set[ObjectRef]] = field(default_factory=dict)
    versions: dict[ObjectRef, int] = field(default_factory=dict)
    workloads: dict[tuple[str, str], WorkloadState] = field(default_factory=dict)
    leases: dict[str, LeaseState] = field(default_factory=dict)
    pods: dict[Key, dict[str, PodState]] = field(default_factory=dict)
    slices: dict[str, frozenset[GatewayAddress]] = field(default_factory=dict)
    synced: set[str] = field(default_factory=set)
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    lease_watch_broken_at: float | None = None
    is_lease_watch_broken: bool = False

    def put_resource(self, resource: Resource) -> None:
        """One of our own resources is new or different."""
        before = self.resources.get(resource.key)
        self.resources[resource.key] = resource
        if before is None or before.model_name != resource.model_name:
            self._call_namesakes(resource)
        self.call(resource.key)

    def remove_resource(self, key: Key) -> None:
        """One of our own resources is gone; another may own its model name now."""
        gone = self.resources.pop(key, None)
        if gone is not None:
            self._call_namesakes(gone)
        self.call(key)

    def owner_of_model_name(self, model_name: str) -> Key | None:
        """The oldest resource with that model name."""
        namesakes = [seen for seen in self.resources.values() if seen.model_name == model_name]
        oldest = min(namesakes, key=lambda seen: (seen.created_at, seen.key), default=None)
        return oldest.key if oldest else None

    def awake_keys(self) -> set[Key]:
        """Resources with a region that has replicas."""
        awake = [place for place, seen in self.workloads.items() if seen.replicas > 0]
        return {self.owners["Deployment", *place] for place in awake}

    def _call_namesakes(self, resource: Resource) -> None:
        for other in self.resources.values():
            if other.model_name == resource.model_name and other.key != resource.key:
                self.call(other.key)

    @property
    def gateways(self) -> frozenset[GatewayAddress]:
        """Every gateway replica that is ready."""
        return frozenset().union(*self.slices.values())

    def region_pods(self, key: Key, region: str) -> tuple[PodState, ...]:
        """The pods of one region."""
        return tuple(pod for pod in self.pods.get(key, {}).values() if pod.region == region)

    def refs_of(self, key: Key, kinds: Iterable[str]) -> list[ObjectRef]:
        """Objects that belong to a resource."""
        wanted = set(kinds)
        return sorted(place for place in self.objects_of.get(key, ()) if place[0] in wanted)

    async def until_synced(self, kinds: int) -> None:
        """Wait until so many kinds have been listed once."""
        while len(self.synced) < kinds:
            self.listed.clear()
            await self.listed.wait()

    def replace(self, watched: Watch, bodies: list[Body]) -> None:
        """A whole listing: what is not in it is gone."""
        present = {(watched.kind, body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies}
        for place in [place for place in self.objects if place[0] == watched.kind and place not in present]:
            self._forget(place)
        for body in bodies:
            self._take(watched.kind, body, from_listing=True)
        self.synced.add(watched.kind)
        self.listed.set()
        if watched.kind == "Lease" and self.is_lease_watch_broken:
            self.is_lease_watch_broken, self.lease_watch_broken_at = False, self.clock()

    def changed(self, watched: Watch, body: Body) -> None:
        """One object is new or different."""
        self._take(watched.kind, body, from_listing=False)

    def removed(self, watched: Watch, body: Body) -> None:
        """One object is gone."""
        self._forget((watched.kind, body["metadata"]["namespace"], body["metadata"]["name"]))

    def broken(self, watched: Watch) -> None:
        """Renewals may have been missed."""
        if watched.kind == "Lease":
            self.is_lease_watch_broken, self.lease_watch_broken_at = True, self.clock()

    def applied(self, kind: str, body: Body) -> ObjectState:
        """What the API server answered to our own apply is as good as an event."""
        self._take(kind, body, from_listing=False)
        return object_seen(kind, body)

    def _take(self, kind: str, body: Body, *, from_listing: bool) -> None:
        metadata = body["metadata"]
        place = (kind, metadata["namespace"], metadata["name"])
        if kind == "EndpointSlice":
            self.objects[place] = ObjectState(metadata["uid"], "")
            self.slices[metadata["name"]] = gateway_addresses(body, self.gateway_port)
            return
        owner, version = _owner(kind, body), int(metadata["resourceVersion"])
        if owner is None or version < self.versions.get(place, 0):
            return
        self.owners[place], self.versions[place] = owner, version
        self.objects_of.setdefault(owner, set()).add(place)
        self.objects[place] = ObjectState(metadata["uid"], "") if kind == "Pod" else object_seen(kind, body)
        match kind:
            case "Deployment":
                self.workloads[place[1:]] = workload_seen(body)
            case "Lease":
                self.leases[place[2]] = self._lease(lease_facts(body), self.leases.get(place[2]))
            case "Pod":
                pods = self.pods.setdefault(owner, {})
                pods[place[2]] = pod_seen(body, pods.get(place[2]), self.clock(), from_listing=from_listing)
        # A Lease that changes may be a request that waits; a listing is no news.
        call = self.call_first if kind == "Lease" and not from_listing else self.call
        call(owner)

    def _lease(self, facts: LeaseFacts, before: LeaseState | None) -> LeaseState:
        """The same renewal keeps its first judgement: a clock that runs ahead must not stretch with every event."""
        renewed_at, runs_ahead = clamp_renewal(facts.renewed_at, self.clock())
        if before is not None and before.raw_renewed_at == facts.renewed_at:
            renewed_at, runs_ahead = before.renewed_at, before.is_clock_ahead
        return LeaseState(facts.resource_version, renewed_at, facts.asleep_since, runs_ahead, facts.renewed_at)

    def _forget(self, place: ObjectRef) -> None:
        kind, _, name = place
        self.objects.pop(place, None)
        self.versions.pop(place, None)
        owner = self.owners.pop(place, None)
        if owner is not None:
            self.objects_of[owner].discard(place)
        match kind:
            case "Deployment":
                self.workloads.pop(place[1:], None)
            case "Lease":
                self.leases.pop(name, None)
            case "EndpointSlice":
                self.slices.pop(name, None)
            case "Pod" if owner is not None:
                self.pods.get(owner, {}).pop(name, None)
        if owner is not None:
            self.call(owner)


def _owner(kind: str, body: Body) -> Key | None:
    """Whose an object is. Only in our own namespaces is the label believed that names another namespace."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(names.LABEL_DEPLOYMENT)
    namespace = labels.get(names.LABEL_NAMESPACE, "") if kind in UNOWNED_KINDS else metadata["namespace"]
    return Key(namespace, name) if name else None
