"""One VoxTTSDeployment in memory: identity, spec with defaults, and the newest status.

Knows how a region's own values override the common ones. Does not know the objects that are created for it.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from voxfleet_operator.resources.definition import API_VERSION, KIND
from voxfleet_operator.resources.spec.autoscaling import Autoscaling
from voxfleet_operator.resources.spec.pod_template import PodTemplate
from voxfleet_operator.resources.spec.regions import Region
from voxfleet_operator.resources.spec.spec import VoxTTSDeploymentSpec
from voxfleet_operator.resources.status import RegionStatus, VoxTTSDeploymentStatus

REGION_LABEL = "topology.kubernetes.io/region"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name of a VoxTTSDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


# Without slots: cached_property needs the instance's __dict__.
@dataclass(frozen=True)
class Resource:
    """A resource as last observed."""

    key: Key
    uid: str
    generation: int
    created_at: str
    spec: VoxTTSDeploymentSpec
    status: VoxTTSDeploymentStatus
    annotations: dict[str, str] = field(default_factory=dict)
    is_deleting: bool = False
    finalizers: tuple[str, ...] = ()

    @cached_property
    def model_name(self) -> str:
        """The value of `model` in clients' requests."""
        return self.spec.model.name or self.key.name

    @cached_property
    def model_names(self) -> tuple[str, ...]:
        """Every bare name that the resource asks for: the model's, then its aliases."""
        return tuple(dict.fromkeys((self.model_name, *(self.spec.model.aliases or ()))))

    @cached_property
    def region_statuses(self) -> dict[str, RegionStatus]:
        """The newest status of each region."""
        return {region.name: region for region in self.status.regions}

    @property
    def owner_reference(self) -> dict[str, Any]:
        """The reference by which the garbage collector deletes an object with its resource."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.key.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def read_resource(body: dict[str, Any]) -> Resource:
    """Parse a resource from the API server's JSON. Raises pydantic.ValidationError."""
    metadata = body["metadata"]
    return Resource(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        created_at=metadata["creationTimestamp"],
        spec=VoxTTSDeploymentSpec.model_validate(body["spec"]),
        status=VoxTTSDeploymentStatus.model_validate(body.get("status") or {}),
        annotations=dict(metadata.get("annotations") or {}),
        is_deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
    )


def effective_autoscaling(spec: VoxTTSDeploymentSpec, region: Region) -> Autoscaling:
    """Return spec.autoscaling, overridden field by field by the region's own."""
    if region.autoscaling is None:
        return spec.autoscaling
    return spec.autoscaling.model_copy(update=_set_fields(region.autoscaling))


def effective_pod_template(spec: VoxTTSDeploymentSpec, region: Region) -> PodTemplate:
    """Return spec.podTemplate, overridden field by field by the region's own."""
    if region.pod_template is None:
        return spec.pod_template
    return spec.pod_template.model_copy(update=_set_fields(region.pod_template))


def effective_node_selector(region: Region) -> dict[str, str]:
    """Return the labels of the nodes on which the region's pods may run."""
    return region.node_selector if region.node_selector is not None else {REGION_LABEL: region.name}


def _set_fields(override: Any) -> dict[str, Any]:
    # Not model_dump: nested models must stay models.
    names = type(override).model_fields
    return {name: value for name in names if (value := getattr(override, name)) is not None}
