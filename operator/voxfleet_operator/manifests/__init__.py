"""Objects as values: pure functions from a resource and its plan to what is applied."""

from voxfleet_operator.manifests.bundle import Installation, Manifest, bundle

__all__ = ["Installation", "Manifest", "bundle"]
