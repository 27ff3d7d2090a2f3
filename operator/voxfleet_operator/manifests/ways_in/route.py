"""Builds the HTTPRoute to the gateways, and the ReferenceGrant by which it may lead into their namespace.

Knows that the route is in the resource's namespace, so that each Gateway decides itself which namespaces attach
(allowedRoutes). Does not know whether one does (status/ways_in.py reads its status).
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds import KINDS
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.manifests.pods.containers import API_PORT
from voxfleet_operator.resources import Resource

# No limit: a held request waits for a wake, a stream lasts as long as its text. backendRequest stays unset, because
# fewer implementations have it, and some refuse a route with a field that they lack.
TIMEOUTS = {"request": "0s"}


def route_objects(resource: Resource, installation: Installation) -> list[Manifest]:
    """Return the grant before the route: without it a Gateway answers 500 for a route that it has accepted."""
    key = resource.key
    labels = names.resource_labels(key.namespace, key.name) | {names.LABEL_COMPONENT: names.GATEWAY}
    grant = manifest_of(
        resource,
        installation,
        "ReferenceGrant",
        names.way_in_name(key.namespace, key.name),
        labels,
        spec=_grant_spec(key.namespace, installation),
    )
    route = manifest_of(resource, installation, "HTTPRoute", key.name, labels, spec=_route_spec(resource, installation))
    return [grant, route]


def _grant_spec(namespace: str, installation: Installation) -> dict[str, Any]:
    group = KINDS["HTTPRoute"].api_version.partition("/")[0]
    return {
        "from": [{"group": group, "kind": "HTTPRoute", "namespace": namespace}],
        "to": [{"group": "", "kind": "Service", "name": installation.entry.gateway_service}],
    }


def _route_spec(resource: Resource, installation: Installation) -> dict[str, Any]:
    asked = resource.spec.route
    backend = {
        "name": installation.entry.gateway_service,
        "namespace": installation.system_namespace,
        "port": API_PORT,
    }
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [backend],
        "timeouts": TIMEOUTS,
    }
    spec: dict[str, Any] = {
        "parentRefs": [each.model_dump(by_alias=True, exclude_none=True) for each in asked.parent_refs or ()],
        "rules": [rule],
    }
    return spec | ({"hostnames": list(asked.hostnames)} if asked.hostnames else {})
