"""Objects as values: pure functions from a resource and its region plans to the manifests that are applied."""

from voxfleet_operator.manifests.desired_objects import Installation, desired_objects
from voxfleet_operator.manifests.manifest import Manifest

__all__ = ["Installation", "Manifest", "desired_objects"]
