"""Asks the API server what a resource needs to know about its cluster, before the resource is observed.

Knows which question a resource raises, and that an answer which cannot be had must delay nothing. Does not know how the
answers are found (the other modules of this folder), nor what follows from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.lookups.image_volumes import ImageVolumes
from voxfleet_operator.manifests.weights import needs_image_volumes
from voxfleet_operator.resources import Resource


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was found out for one resource; the defaults are what is assumed while something is not known."""

    has_image_volumes: bool = True


NOTHING_ASKED = ClusterFacts()


@dataclass(slots=True)
class Lookups:
    """Finds out the facts for a resource."""

    api: KubernetesApi
    namespace: str  # of the operator, for probes
    clock: Callable[[], float]
    image_volumes: ImageVolumes = field(init=False)

    def __post_init__(self) -> None:
        self.image_volumes = ImageVolumes(self.api, self.namespace, self.clock)

    async def facts_for(self, resource: Resource) -> ClusterFacts:
        """Return what the resource needs to know; without questions no request is sent."""
        if not needs_image_volumes(resource):
            return NOTHING_ASKED
        return ClusterFacts(has_image_volumes=await self.image_volumes.are_served())
