"""Asks the API server what a resource needs to know about its cluster, before the resource is observed.

Knows which question a resource raises, and that an answer which cannot be had must delay nothing. Does not know how the
answers are found (the other modules of this folder), nor what follows from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.lookups.horizontal_autoscalers import HorizontalAutoscalers
from voxfleet_operator.cluster.lookups.image_volumes import ImageVolumes
from voxfleet_operator.cluster.lookups.storage import Storage
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.observed import CLAIM_BOUND, AutoscalerRef, ClaimState, WorkloadState
from voxfleet_operator.decisions.weights.claims import StorageClass, UsersClaim
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests.pods.weights import needs_image_volumes, users_claim_of
from voxfleet_operator.resources import Resource


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was found out for one resource; the defaults are what is assumed while something is not known.

    `autoscalers`: of each Deployment that a HorizontalPodAutoscaler has scaled; `users_claim`: where the spec names
    one; `storage_classes`: while a claim that the operator made is not bound.
    """

    has_image_volumes: bool = True
    autoscalers: Mapping[str, tuple[AutoscalerRef, ...]] = field(default_factory=dict)
    users_claim: UsersClaim | None = None
    storage_classes: tuple[StorageClass, ...] | None = None


NOTHING_ASKED = ClusterFacts()


@dataclass(slots=True)
class Lookups:
    """Finds out the facts for a resource."""

    api: KubernetesApi
    store: Store
    namespace: str  # of the operator, for probes
    clock: Callable[[], float]
    image_volumes: ImageVolumes = field(init=False)
    autoscalers: HorizontalAutoscalers = field(init=False)
    storage: Storage = field(init=False)

    def __post_init__(self) -> None:
        self.image_volumes = ImageVolumes(self.api, self.namespace, self.clock)
        self.autoscalers = HorizontalAutoscalers(self.api, self.clock)
        self.storage = Storage(self.api, self.clock)

    async def facts_for(self, resource: Resource) -> ClusterFacts:
        """Return what the resource needs to know; without questions no request is sent."""
        return ClusterFacts(
            has_image_volumes=not needs_image_volumes(resource) or await self.image_volumes.are_served(),
            autoscalers={ref.name: await self.autoscalers.of(ref) for ref in self._scaled_by_autoscalers(resource)},
            users_claim=await self._users_claim(resource),
            storage_classes=await self.storage.storage_classes() if self._has_unbound_claim(resource) else None,
        )

    async def _users_claim(self, resource: Resource) -> UsersClaim | None:
        named = users_claim_of(resource)
        return await self.storage.claim(resource.key.namespace, *named) if named else None

    def _has_unbound_claim(self, resource: Resource) -> bool:
        claims = self.store.refs_of(resource.key, ("PersistentVolumeClaim",))
        states = (self.store.state(ref, ClaimState) for ref in claims)
        return any(each is not None and each.phase != CLAIM_BOUND for each in states)

    def _scaled_by_autoscalers(self, resource: Resource) -> list[ObjectRef]:
        deployments = self.store.refs_of(resource.key, ("Deployment",))
        states = ((ref, self.store.state(ref, WorkloadState)) for ref in deployments)
        return [ref for ref, each in states if each and each.scaled and each.scaled.is_by_autoscaler]
