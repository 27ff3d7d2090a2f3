"""Objects as values: pure functions from a resource and its region plans to the manifests that are applied."""

from voxfleet_operator.manifests.desired_objects import desired_objects
from voxfleet_operator.manifests.manifest import Entry, Installation, Manifest

__all__ = ["Entry", "Installation", "Manifest", "desired_objects"]
