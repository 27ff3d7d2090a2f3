"""Objects as values: pure functions from a resource and its region plans to the manifests that are applied."""

from voxfleet_operator.manifests.desired_objects import Installation, Manifest, desired_objects

__all__ = ["Installation", "Manifest", "desired_objects"]
