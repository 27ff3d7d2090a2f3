"""The remote regions of a resource: those that its spec names, and those that are recorded on it.

A region is recorded, with the finalizer, before anything is made in its cluster, and until that is deleted there: so
neither a region that leaves the spec nor a deleted resource leaves servers behind. Knows the annotations' form. Does
not know what is in the clusters.
"""

from typing import NamedTuple

from voxfleet_operator import names
from voxfleet_operator.resources import Region, Resource


class SecretKey(NamedTuple):
    """A key of a Secret in the operator's cluster, with a kubeconfig."""

    namespace: str
    name: str
    key: str

    @property
    def text(self) -> str:
        """Its form in annotations, which are of an object in the same namespace."""
        return f"{self.name}/{self.key}"

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}, key {self.key}"


class RemoteRegion(NamedTuple):
    """A region and the Secret by which its cluster is reached."""

    region: str
    secret: SecretKey


def kubeconfig_of(region: Region) -> str:
    """Return the text of the region's Secret, empty for the operator's own cluster."""
    ref = region.kube_config_secret_ref
    return f"{ref.name}/{ref.key}" if ref else ""


def regions_in(resource: Resource, kubeconfig: str) -> tuple[Region, ...]:
    """Return the regions of the spec in one cluster, which the text of its Secret names; empty: the operator's own."""
    return tuple(region for region in resource.spec.regions if kubeconfig_of(region) == kubeconfig)


def wanted_regions(resource: Resource) -> frozenset[RemoteRegion]:
    """Return the remote regions of the spec; none of a resource that is being deleted."""
    if resource.is_deleting:
        return frozenset()
    namespace = resource.key.namespace
    refs = ((region.name, region.kube_config_secret_ref) for region in resource.spec.regions)
    return frozenset(RemoteRegion(name, SecretKey(namespace, ref.name, ref.key)) for name, ref in refs if ref)


def recorded_regions(resource: Resource) -> frozenset[RemoteRegion]:
    """Return the recorded regions; what is not of the form that `record` writes is left out."""
    found = set()
    for item in resource.annotations.get(names.ANNOTATION_REMOTE_REGIONS, "").split(","):
        region, _, secret = item.strip().partition("=")
        name, _, key = secret.partition("/")
        if region and name and key:
            found.add(RemoteRegion(region, SecretKey(resource.key.namespace, name, key)))
    return frozenset(found)


def record(regions: frozenset[RemoteRegion]) -> str:
    """Return the annotation's value."""
    return ",".join(f"{each.region}={each.secret.text}" for each in sorted(regions))


def abandoned_regions(resource: Resource) -> frozenset[RemoteRegion]:
    """Return the recorded regions, no longer wanted, in whose clusters the user gives up what is left."""
    given = {each.strip() for each in resource.annotations.get(names.ANNOTATION_ABANDON_REMOTE, "").split(",")}
    left = recorded_regions(resource) - wanted_regions(resource)
    return frozenset(each for each in left if each.region in given or "*" in given)


def abandon_line(resource: Resource, region: str) -> str:
    """Return the command that gives a region's cluster up."""
    key = resource.key
    return f"kubectl annotate vtts {key.name} -n {key.namespace} {names.ANNOTATION_ABANDON_REMOTE}={region}"
