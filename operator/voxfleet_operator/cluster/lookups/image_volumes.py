"""Asks the API server whether it serves image volumes: the feature gate has other defaults in each version.

Knows the probe, a dry run of a Deployment with such a volume: a server without the gate drops the field, and then
refuses a volume without a source. Does not know what needs the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voxfleet_operator.cluster.api import Body, KubernetesApi, KubernetesError
from voxfleet_operator.kinds import ObjectRef

# A cluster that serves them goes on to; one that does not may be upgraded.
SECONDS_UNTIL_ASKED_AGAIN = 600.0
NAME = "voxfleet-image-volume-probe"


@dataclass(slots=True)
class ImageVolumes:
    """The answer, remembered."""

    api: KubernetesApi
    namespace: str
    clock: Callable[[], float]
    refused_at: float | None = None
    is_served: bool = False

    async def are_served(self) -> bool:
        """Whether pods may have image volumes; True while that is not known: the Deployment's apply will show it."""
        is_recent = self.refused_at is not None and self.clock() < self.refused_at + SECONDS_UNTIL_ASKED_AGAIN
        if not self.is_served and not is_recent:
            ref = ObjectRef("Deployment", self.namespace, NAME)
            try:
                self.is_served = _has_image_volume(await self.api.dry_run(ref.path, _probe(self.namespace)))
            except KubernetesError:
                return True
            self.refused_at = None if self.is_served else self.clock()
        return self.is_served


def _has_image_volume(made: Body | None) -> bool:
    """A server without the gate drops the volume's source, or the whole volume, or refuses the object."""
    volumes = made["spec"]["template"]["spec"].get("volumes", []) if made else []
    return any("image" in volume for volume in volumes)


def _probe(namespace: str) -> dict[str, object]:
    labels = {"app": NAME}
    pod = {
        "containers": [{"name": "probe", "image": "probe"}],
        "volumes": [{"name": "weights", "image": {"reference": "probe", "pullPolicy": "IfNotPresent"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
