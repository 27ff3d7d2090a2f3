"""The informer cache: the newest state of every observed object, and the queue calls that its changes cause.

Knows objects by kind, namespace and name, and the resource that each belongs to. Whole objects are not kept.
Decides nothing: a change only enqueues the resource concerned.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from voxfleet_operator import names
from voxfleet_operator.cluster.parsing.identity import owner_of, ref_of, version_of
from voxfleet_operator.cluster.parsing.objects import PARSERS, EndpointState, ObjectState, parse_object
from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.cluster.resource_index import discard
from voxfleet_operator.decisions.capacity.leaving import Outage
from voxfleet_operator.decisions.observed import PodState, WorkloadState
from voxfleet_operator.kinds import DEFINITIONS, EVENTS, KINDS, NODE_EVENT, POD_EVENT, ObjectRef, Watch
from voxfleet_operator.resources import Key

Body = dict[str, Any]
StateT = TypeVar("StateT")


class GatewayAddress(NamedTuple):
    """Where one gateway replica serves /internal/load; `pod`: its name, by which an API server reaches it."""

    address: str
    port: int
    pod: str = ""


@dataclass(slots=True)
class Store:
    """Observed objects of one cluster.

    `enqueue` gets the key of the resource that a changed object belongs to, `enqueue_first` one to reconcile at once.
    `states` holds what decisions read (parsing/objects.py), `objects` owner and digest of everything. `pods_on` indexes
    pods by node: what an event costs must not grow with the fleet. `served`: the kinds with a CustomResourceDefinition
    that this cluster serves; `on_served` is called when it changes. `is_remote`: only objects that are marked as made
    for a remote region are this operator's; in its own cluster those are another operator's.
    """

    enqueue: Callable[[Key], None]
    enqueue_first: Callable[[Key], None]
    gateway_port: int
    clock: Callable[[], float] = time.time
    is_remote: bool = False
    objects: dict[ObjectRef, ObjectState] = field(default_factory=dict)
    states: dict[ObjectRef, object] = field(default_factory=dict)
    owners: dict[ObjectRef, Key] = field(default_factory=dict)
    objects_of: dict[Key, set[ObjectRef]] = field(default_factory=dict)
    pods_on: dict[str, set[ObjectRef]] = field(default_factory=dict)
    versions: dict[ObjectRef, int] = field(default_factory=dict)
    synced: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    on_served: Callable[[], None] = lambda: None
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    lease_watch_broken_at: float | None = None
    is_lease_watch_broken: bool = False
    node_outage: Outage | None = None  # of the watch of nodes

    def awake_keys(self) -> set[Key]:
        """Return the resources with a region that has replicas."""
        return {
            self.owners[ref]
            for ref, state in self.states.items()
            if isinstance(state, WorkloadState) and state.replicas > 0
        }

    @property
    def gateways(self) -> frozenset[GatewayAddress]:
        """Every ready gateway replica."""
        slices = [state for state in self.states.values() if isinstance(state, EndpointState)]
        return frozenset(
            GatewayAddress(address, each.port or self.gateway_port, pod)
            for each in slices
            for address, pod in zip(each.addresses, each.pods or ("",) * len(each.addresses), strict=True)
        )

    def state(self, ref: ObjectRef, of: type[StateT]) -> StateT | None:
        """Return the state of one object, or None when it does not exist."""
        found = self.states.get(ref)
        return found if isinstance(found, of) else None

    def region_pods(self, key: Key, region: str) -> tuple[PodState, ...]:
        """Return the pods of one region, by name."""
        pods = (self.state(ref, PodState) for ref in self.refs_of(key, ("Pod",)))
        return tuple(pod for pod in pods if pod is not None and pod.region == region)

    def fetching_pods(self) -> dict[ObjectRef, PodState]:
        """Return the running pods of Jobs that fetch weights."""
        pods = ((ref, state) for ref, state in self.states.items() if isinstance(state, PodState) and state.job)
        return {
            ref: pod for ref, pod in pods if pod.address and pod.is_running and pod.is_active and ref in self.owners
        }

    def pods_of_deployment(self, ref: ObjectRef) -> tuple[PodState, ...]:
        """Return the pods of one Deployment, by name."""
        owner = self.owners.get(ref)
        found = [self.state(each, PodState) for each in self.refs_of(owner, ("Pod",))] if owner else []
        return tuple(pod for pod in found if pod is not None and _is_of(pod, ref))

    def refs_of(self, key: Key, kinds: Iterable[str]) -> list[ObjectRef]:
        """Return the objects of some kinds that belong to a resource, sorted."""
        wanted = set(kinds)
        return sorted(ref for ref in self.objects_of.get(key, ()) if ref.kind in wanted)

    def is_defined(self, kind: str) -> bool:
        """Whether the CustomResourceDefinition of a kind was listed last."""
        definition = DEFINITIONS[kind].name
        return any(ref.kind == definition for ref in self.objects)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until what was listed makes a condition true."""
        while not is_so():
            self.listed.clear()
            await self.listed.wait()

    async def until_synced(self, kinds: int) -> None:
        """Wait until so many kinds have been listed once."""
        await self.until(lambda: len(self.synced) >= kinds)

    def on_list(self, watch: Watch, bodies: list[Body]) -> None:
        """Record a whole listing; objects that are not in it are dropped."""
        present = {ref_of(watch.kind, body) for body in bodies}
        for ref in [ref for ref in self.objects if ref.kind == watch.kind and ref not in present]:
            self._drop(ref)
        # Oldest first: several events are about one object.
        for body in sorted(bodies, key=version_of):
            self._record(watch.kind, body, is_listing=True)
        if KINDS[watch.kind].definition:
            self._set_served(watch.kind, is_served=True)
        # After the objects are recorded: a worker that this starts must find them.
        self._listed(watch.kind)
        if watch.kind == "Lease" and self.is_lease_watch_broken:
            self.is_lease_watch_broken, self.lease_watch_broken_at = False, self.clock()
        if watch.kind == "Node" and (self.node_outage is None or self.node_outage.ended_at is None):
            # Before the first listing this process has read nothing: it may have been started by an outage.
            began_at = self.node_outage.began_at if self.node_outage is not None else 0.0
            self.node_outage = Outage(began_at, self.clock())
            self._enqueue_pods_on_nodes()

    def _enqueue_pods_on_nodes(self) -> None:
        """Enqueue all resources with placed pods: when their nodes count as lost has changed."""
        for key in {self.owners[ref] for refs in self.pods_on.values() for ref in refs if ref in self.owners}:
            self.enqueue(key)

    def on_absent(self, kind: str) -> None:
        """Record that the cluster does not serve a kind: its objects went with its definition."""
        for ref in [ref for ref in self.objects if ref.kind == kind]:
            self._drop(ref)
        self._set_served(kind, is_served=False)
        self._listed(kind)

    def _set_served(self, kind: str, *, is_served: bool) -> None:
        if is_served != (kind in self.served):
            self.served.symmetric_difference_update({kind})
            self.on_served()

    def _listed(self, kind: str) -> None:
        self.synced.add(kind)
        self.listed.set()

    def on_change(self, watch: Watch, body: Body) -> None:
        """Record an added or modified object."""
        self._record(watch.kind, body, is_listing=False)
        self.listed.set()  # a CustomResourceDefinition may have been added

    def on_delete(self, watch: Watch, body: Body) -> None:
        """Drop a deleted object."""
        self._drop(ref_of(watch.kind, body))
        self.listed.set()

    def on_broken(self, watch: Watch, _error: str = "") -> None:
        """Record since when renewals, and what nodes say, may have been missed.

        A kind that the operator may not list, or a definition, keeps no other kind from being served.
        """
        if KINDS[watch.kind].is_optional:
            self._listed(watch.kind)
        if watch.kind == "Lease":
            self.is_lease_watch_broken, self.lease_watch_broken_at = True, self.clock()
        if watch.kind == "Node" and (self.node_outage is None or self.node_outage.ended_at is not None):
            self.node_outage = Outage(self.clock())

    def on_applied(self, kind: str, body: Body) -> ObjectState:
        """Record the API server's response to a write: it arrives before the watch event and counts as one."""
        self._record(kind, body, is_listing=False)
        return parse_object(kind, body)

    def _record(self, kind: str, body: Body, *, is_listing: bool) -> None:
        ref, row = ref_of(kind, body), KINDS[kind]
        owner, version = self._owner(kind, body), version_of(body)
        # A watch may deliver an event that is older than the response to our own write.
        if (owner is None and row.is_of_a_resource) or version < self.versions.get(ref, 0):
            return
        before = self.states.get(ref)
        state = PARSERS[kind](body, before, Receipt(self.clock(), is_listing)) if kind in PARSERS else None
        if kind in EVENTS and state is None:
            return
        self.versions[ref] = version
        self.objects[ref] = parse_object(kind, body)
        if state is not None:
            self.states[ref] = state
        if isinstance(state, PodState) and state.node:
            self.pods_on.setdefault(state.node, set()).add(ref)
        if state != before:
            self._enqueue_concerned(ref)
        if owner is not None:
            self.owners[ref] = owner
            self.objects_of.setdefault(owner, set()).add(ref)
            # A listing at the start or after a broken watch says nothing about which Lease changed just now.
            enqueue = self.enqueue_first if row.is_urgent and not is_listing else self.enqueue
            enqueue(owner)

    def _owner(self, kind: str, body: Body) -> Key | None:
        labels = body["metadata"].get("labels") or {}
        is_others = (names.LABEL_REMOTE in labels) != self.is_remote
        return None if is_others and KINDS[kind].is_applied else owner_of(kind, body)

    def _drop(self, ref: ObjectRef) -> None:
        self.objects.pop(ref, None)
        gone = self.states.pop(ref, None)
        if isinstance(gone, PodState):
            discard(self.pods_on, gone.node, ref)
        self.versions.pop(ref, None)
        owner = self.owners.pop(ref, None)
        self._enqueue_concerned(ref)
        if owner is not None:
            self.objects_of[owner].discard(ref)
            self.enqueue(owner)

    def _enqueue_concerned(self, ref: ObjectRef) -> None:
        """Enqueue the resources with pods on a node, or the one of a pod with a new event; other kinds have owners."""
        if ref.kind in {"Node", NODE_EVENT}:
            # Rare, because heartbeats change no state.
            concerned = {self.owners[each] for each in self.pods_on.get(ref.name, ())}
        else:
            pod = ObjectRef("Pod", ref.namespace, ref.name)
            concerned = {self.owners[pod]} if ref.kind == POD_EVENT and pod in self.owners else set()
        for key in concerned:
            self.enqueue(key)


def _is_of(pod: PodState, deployment: ObjectRef) -> bool:
    return names.workload_name(pod.deployment, pod.region, pod.pool) == deployment.name
