"""The objects by which clients, scrapers and people come in, beside the Service: one module for each."""

from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests.manifest import Installation, Manifest
from voxfleet_operator.manifests.ways_in.ingress import gateway_ingress
from voxfleet_operator.manifests.ways_in.network_policies import server_policy
from voxfleet_operator.manifests.ways_in.notebook import notebook_objects, token_secret
from voxfleet_operator.manifests.ways_in.pod_monitor import pod_monitor
from voxfleet_operator.manifests.ways_in.route import route_objects
from voxfleet_operator.resources import Resource

__all__ = ["server_policy", "token_secret", "ways_in_objects"]


def ways_in_objects(resource: Resource, ways_in: WaysIn, installation: Installation) -> list[Manifest]:
    """Return the objects of the ways that are made."""
    objects: list[Manifest] = []
    if Way.INGRESS in ways_in.made:
        objects.append(gateway_ingress(resource, installation))
    if Way.ROUTE in ways_in.made:
        objects.extend(route_objects(resource, installation))
    if Way.POD_MONITOR in ways_in.made:
        objects.append(pod_monitor(resource, installation))
    if Way.NOTEBOOK in ways_in.made:
        objects.extend(notebook_objects(resource, installation))
    return objects
