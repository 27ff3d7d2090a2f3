"""Keeps the pod template of Deployments whose new weights are not there yet: the one in use reads the earlier ones.

Knows which annotations belong to a template. Does not know when weights are there (decisions/weights.py).
"""

from dataclasses import dataclass, field, replace

from voxfleet_operator import names
from voxfleet_operator.cluster.api import Body, KubernetesApi
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.templates import with_template


@dataclass(slots=True)
class KeptTemplates:
    """The templates in use, read once for each Deployment that waits."""

    api: KubernetesApi
    store: Store
    templates: dict[ObjectRef, Body] = field(default_factory=dict)

    async def kept(self, manifest: Manifest, *, keeps: bool) -> Manifest:
        """Return the manifest to apply, with the template in use where that is kept. Raises KubernetesError."""
        ref = manifest.ref
        workload = self.store.state(ref, WorkloadState)
        if not keeps or workload is None:
            self.templates.pop(ref, None)
            return manifest
        if ref not in self.templates:
            self.templates[ref] = (await self.api.get(ref.path))["spec"]["template"]
        return _of_generation(with_template(manifest, self.templates[ref]), workload.generation)

    def forget_deleted(self) -> None:
        """Drop the templates of Deployments that are gone."""
        self.templates = {ref: template for ref, template in self.templates.items() if ref in self.store.states}


def _of_generation(manifest: Manifest, generation: int | None) -> Manifest:
    """Return the manifest with the generation that the kept template is of."""
    if generation is None:
        return manifest
    metadata = manifest.body["metadata"]
    annotations = metadata["annotations"] | {names.ANNOTATION_GENERATION: str(generation)}
    return replace(manifest, body=manifest.body | {"metadata": metadata | {"annotations": annotations}})
