"""The HTTPRoute has no time limit, and the ReferenceGrant admits it to the gateways' Service alone."""

from collections.abc import Callable

from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.ways_in import ways_in_objects
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]


def test_the_route_and_the_grant_fit_each_other(resource: Resources, installation: Installation) -> None:
    asked = {
        "parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "https"}],
        "hostnames": ["*.ex.com"],
    }
    grant, route = ways_in_objects(resource(route=asked), WaysIn(frozenset({Way.ROUTE})), installation)
    assert (grant.kind, route.kind) == ("ReferenceGrant", "HTTPRoute"), "a route before its grant would answer 500"
    assert (route.ref.namespace, route.ref.name) == ("default", "narrator")
    spec = route.body["spec"]
    assert spec["parentRefs"] == asked["parentRefs"], "nothing that was left out is written as null"
    assert spec["hostnames"] == ["*.ex.com"]
    (rule,) = spec["rules"]
    assert rule["timeouts"] == {"request": "0s"}
    (backend,) = rule["backendRefs"]
    assert backend == {"name": "voxfleet-gateway", "namespace": "voxfleet-system", "port": 6006}
    assert grant.ref.namespace == backend["namespace"]
    assert grant.body["spec"] == {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
        "to": [{"group": "", "kind": "Service", "name": backend["name"]}],
    }


def test_without_hostnames_all_hosts_of_the_gateway_are_meant(resource: Resources, installation: Installation) -> None:
    asked = {"parentRefs": [{"name": "public"}]}
    _, route = ways_in_objects(resource(route=asked), WaysIn(frozenset({Way.ROUTE})), installation)
    assert "hostnames" not in route.body["spec"]
