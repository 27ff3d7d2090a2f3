"""The VoxTTSDeployment resource: its models and the CustomResourceDefinition generated from them."""

from voxfleet_operator.resources.definition import API_VERSION, GROUP, KIND, PLURAL, VERSION, definition_yaml
from voxfleet_operator.resources.resource import (
    Key,
    Resource,
    effective_autoscaling,
    effective_node_selector,
    effective_pod_template,
    read_resource,
)
from voxfleet_operator.resources.spec.autoscaling import Autoscaling, Capacity, Schedule, SpotUse
from voxfleet_operator.resources.spec.model import CacheType, Model
from voxfleet_operator.resources.spec.pod_template import PodTemplate
from voxfleet_operator.resources.spec.regions import Region
from voxfleet_operator.resources.spec.spec import Serving, VoxTTSDeploymentSpec
from voxfleet_operator.resources.status import Condition, Failure, LastWake, Phase, RegionStatus, VoxTTSDeploymentStatus

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "VERSION",
    "Autoscaling",
    "CacheType",
    "Capacity",
    "Condition",
    "Failure",
    "Key",
    "LastWake",
    "Model",
    "Phase",
    "PodTemplate",
    "Region",
    "RegionStatus",
    "Resource",
    "Schedule",
    "Serving",
    "SpotUse",
    "VoxTTSDeploymentSpec",
    "VoxTTSDeploymentStatus",
    "definition_yaml",
    "effective_autoscaling",
    "effective_node_selector",
    "effective_pod_template",
    "read_resource",
]
