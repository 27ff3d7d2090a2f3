"""Objects of a resource: the right names, owners and order, and nothing that changes with time."""

import json
from collections.abc import Callable
from typing import Any

from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Phase, Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]


def only(manifests: list[Manifest], kind: str) -> dict[str, Any]:
    return next(manifest.body for manifest in manifests if manifest.kind == kind)


def test_the_objects_of_one_region(resource: Resources, made: Made) -> None:
    kinds = [manifest.kind for manifest in made(resource())]
    assert kinds == ["Lease", "Service", "Service", "NetworkPolicy", "ConfigMap", "Deployment"]


def test_a_deployment_that_wakes_is_applied_first(resource: Resources, made: Made) -> None:
    kinds = [manifest.kind for manifest in made(resource(), Phase.WAKING, 1, woken_at=1_795_000_000.5)]
    assert kinds[0] == "Deployment"


def test_replicas_are_always_part_of_the_apply(resource: Resources, made: Made) -> None:
    assert only(made(resource()), "Deployment")["spec"]["replicas"] == 0
    assert only(made(resource(), Phase.AWAKE, 3), "Deployment")["spec"]["replicas"] == 3


def test_a_rollout_of_one_replica_loses_nothing(resource: Resources, made: Made) -> None:
    strategy = only(made(resource()), "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_lease_never_carries_the_gateways_fields(resource: Resources, made: Made) -> None:
    """An apply of renewTime would own it, and the next apply without it would remove it."""
    assert set(only(made(resource()), "Lease")["spec"]) == {"leaseDurationSeconds"}


def test_a_remote_region_gets_no_objects_here(resource: Resources, made: Made) -> None:
    remote = {"name": "ap", "kubeConfigSecretRef": {"name": "k"}, "gatewayURL": "https://ap.example.com"}
    manifests = made(resource(regions=[{"name": "eu"}, remote]))
    assert [manifest.kind for manifest in manifests].count("Deployment") == 1
    entry = json.loads(only(manifests, "ConfigMap")["data"]["model.json"])
    assert [region["local"] for region in entry["regions"]] == [True, False]


def test_the_same_plan_makes_the_same_objects(resource: Resources, made: Made) -> None:
    first, second = made(resource(), Phase.AWAKE, 2), made(resource(), Phase.AWAKE, 2)
    assert [json.dumps(manifest.body) for manifest in first] == [json.dumps(manifest.body) for manifest in second]
