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


def test_the_pool_is_part_of_the_deployments_selector_and_not_of_the_services(resource: Resources, made: Made) -> None:
    manifests = made(resource())
    deployment = only(manifests, "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector == {
        "voxfleet.dev/deployment": "narrator",
        "voxfleet.dev/region": "eu",
        "voxfleet.dev/pool": "ondemand",
    }
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert selector.items() <= deployment["metadata"]["labels"].items()
    service = only(manifests, "Service")
    assert service["spec"]["selector"] == {"voxfleet.dev/deployment": "narrator", "voxfleet.dev/region": "eu"}


def test_owned_objects_lie_beside_the_resource_and_unowned_ones_carry_its_uid(resource: Resources, made: Made) -> None:
    for manifest in made(resource()):
        metadata = manifest.body["metadata"]
        is_unowned = manifest.kind in {"Lease", "ConfigMap"}
        assert (metadata["namespace"] == "default") != is_unowned
        assert ("ownerReferences" in metadata) != is_unowned
        assert (metadata.get("annotations") or {}).get("voxfleet.dev/uid") == ("u1" if is_unowned else None)
