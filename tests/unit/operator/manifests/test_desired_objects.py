"""Objects of a resource: the right names, owners and order, and nothing that changes with time."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from annotated_types import MaxLen
from voxfleet_operator.cluster.parsing.objects import ObjectState
from voxfleet_operator.cluster.writing.object_writer import ObjectWriter, mark_of
from voxfleet_operator.decisions.capacity.pools import PoolReplicas
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.decisions.weights.fetches import Fetch
from voxfleet_operator.manifests import Installation, Manifest, desired_objects
from voxfleet_operator.manifests.pre_pull import pre_pulls
from voxfleet_operator.resources import Phase, Resource, VoxTTSDeploymentSpec, VoxTTSDeploymentStatus

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


CLAIMS = {"weights": {"type": "PersistentVolumeClaim"}}
EVERY_WAY_IN = {
    "ingress": {"host": "tts.example.com"},
    "route": {"parentRefs": [{"name": "public"}]},
    "monitoring": {"podMonitor": True},
    "notebook": {"enabled": True, "host": "notebook.example.com"},
}


def most_regions() -> list[dict[str, Any]]:
    """As many as the CRD allows, with the longest names."""
    metadata = VoxTTSDeploymentSpec.model_fields["regions"].metadata
    (limit,) = (each.max_length for each in metadata if isinstance(each, MaxLen))
    return [{"name": f"r{number:039}"} for number in range(limit)]


@pytest.mark.parametrize(
    ("spec", "ways_in", "objects_of_a_region"),
    [
        ({}, WaysIn(), 4),
        ({"cache": CLAIMS}, WaysIn(), 6),
        ({"cache": CLAIMS | {"prePullImage": True}, "capacity": {"spot": "Preferred"}}, WaysIn(), 8),
        (
            {"cache": CLAIMS | {"prePullImage": True}, "capacity": {"spot": "Preferred"}, **EVERY_WAY_IN},
            WaysIn(frozenset(Way)),
            8,
        ),
    ],
    ids=["regions", "claims", "two pools and images on nodes", "every way in"],
)
def test_the_marks_of_the_largest_resource_fit_into_its_status(
    resource: Resources, installation: Installation, spec: dict[str, Any], ways_in: WaysIn, objects_of_a_region: int
) -> None:
    """The API server would refuse every status whose marks are longer than the CRD allows."""
    largest = resource(regions=most_regions(), **spec)
    awake = {
        each.name: RegionPlan(
            each.name, Phase.AWAKE, 2, reason="Awake", pools=PoolReplicas(on_demand=1, spot=1), fetch=Fetch("k")
        )
        for each in largest.spec.regions
    }
    pulls = frozenset(pre_pulls(largest, installation.pod))
    manifests = desired_objects(
        largest, ResourcePlan(awake), installation, owned_names=frozenset(), pulls=pulls, ways_in=ways_in
    )
    refs = {manifest.ref for manifest in manifests}
    assert len(refs) == len(manifests) >= len(awake) * objects_of_a_region
    nothing = cast("Any", None)  # neither API nor store is asked for marks
    sent = {each.ref: mark_of(each.ref, "digest", ObjectState("u", "digest")) for each in manifests}
    marks = ObjectWriter(nothing, nothing, sent).marks(refs)
    assert marks.count(",") == len(manifests) - 1
    assert VoxTTSDeploymentStatus(applied=marks).applied == marks
