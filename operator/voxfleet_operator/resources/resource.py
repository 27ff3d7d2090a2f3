"""One VoxTTSDeployment as the operator keeps it: identity, spec with defaults, and the newest status.

Knows how a region's own values override the common ones. Does not know objects made from it.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from voxfleet_operator.resources.autoscaling import Autoscaling
from voxfleet_operator.resources.definition import API_VERSION, KIND
from voxfleet_operator.resources.pod_template import PodTemplate
from voxfleet_operator.resources.regions import Region
from voxfleet_operator.resources.spec import VoxTTSDeploymentSpec
from voxfleet_operator.resources.status import RegionStatus, VoxTTSDeploymentStatus

REGION_LABEL = "topology.kubernetes.io/region"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which resource."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Resource:
    """A resource as last seen."""

    key: Key
    uid: str
    generation: int
    created_at: str
    spec: VoxTTSDeploymentSpec
    status: VoxTTSDeploymentStatus
    annotations: dict[str, str] = field(default_factory=dict)
    is_deleting: bool = False

    @cached_property
    def model_name(self) -> str:
        """What clients send as model."""
        return self.spec.model.name or self.key.name

    @cached_property
    def region_statuses(self) -> dict[str, RegionStatus]:
        """The newest status of each region."""
        return {region.name: region for region in self.status.regions}

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Makes the garbage collector take an object along."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.key.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def read_resource(body: dict[str, Any]) -> Resource:
    """From the API server's JSON."""
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
    )


def effective_autoscaling(spec: VoxTTSDeploymentSpec, region: Region) -> Autoscaling:
    """The common values, with the region's own over them, field by field."""
    if region.autoscaling is None:
        return spec.autoscaling
    return spec.autoscaling.model_copy(update=_given(region.autoscaling))


def effective_pod_template(spec: VoxTTSDeploymentSpec, region: Region) -> PodTemplate:
    """The common additions, with the region's own over them, field by field."""
    if region.pod_template is None:
        return spec.pod_template
    return spec.pod_template.model_copy(update=_given(region.pod_template))


def effective_node_selector(region: Region) -> dict[str, str]:
    """Where the region's pods may run."""
    return region.node_selector if region.node_selector is not None else {REGION_LABEL: region.name}


def _given(override: Any) -> dict[str, Any]:
    names = type(override).model_fields
    return {name: value for name in names if (value := getattr(override, name)) is not None}
