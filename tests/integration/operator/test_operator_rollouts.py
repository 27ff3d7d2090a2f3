"""Templates on a real API server: Replace waits, and a failed wake falls back to a template of a ReplicaSet."""

from typing import Any

import pytest
from voxfleet_operator import names

# conftest.World: pytest loads test folders without packages, so the class cannot be imported by name.
World = Any

IMAGE = "localhost/voxfleet-inference:test"  # the operator's default


@pytest.fixture(autouse=True)
def _idle_gateway(world: World) -> None:
    world.set_load("10.9.9.9")


def apply(world: World, strategy: str = "Surge", **fields: Any) -> None:
    spec = {
        "model": {"source": "file:///models/tiny"},
        "regions": [{"name": "eu-central"}],
        "gpu": {"count": 0},
        "autoscaling": {"idleTimeoutSeconds": 600},
        "rollout": {"strategy": strategy},
    }
    world.apply(spec | fields)


def template(world: World) -> Any:
    return world.api.get(world.deployment_path())["spec"]["template"]


def image(world: World) -> str:
    found: str = template(world)["spec"]["containers"][0]["image"]
    return found


def pod_of_template(world: World, name: str) -> str:
    """A pod as the Deployment's controller makes it, from the present template."""
    path: str = world.pod(name)
    annotations = template(world)["metadata"]["annotations"]
    world.api.request("PATCH", path, {"metadata": {"annotations": annotations}}, "application/merge-patch+json")
    return path


def awake(world: World, pod_name: str) -> str:
    world.renew()
    world.settled("Waking")
    path = pod_of_template(world, pod_name)
    world.pod_ready(path)
    world.settled("Awake")
    world.until(lambda: world.condition("Verified").get("status") == "True", "verified")
    return path


def keep_replica_set(world: World) -> None:
    """Copy the Deployment's template into a ReplicaSet, as its controller does."""
    deployment = world.api.get(world.deployment_path())
    labels = deployment["spec"]["selector"]["matchLabels"] | {"pod-template-hash": "7"}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "uid": deployment["metadata"]["uid"], "controller": True}
    name = f"{deployment['metadata']['name']}-7"
    copied = deployment["spec"]["template"]
    copied["metadata"]["labels"] |= {"pod-template-hash": "7"}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": world.namespace,
            "labels": copied["metadata"]["labels"],
            "ownerReferences": [owner | {"name": deployment["metadata"]["name"]}],
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": copied},
    }
    path = f"/apis/apps/v1/namespaces/{world.namespace}/replicasets/{name}"
    world.api.apply(path, body)
    world.made.append(path)


def test_a_wake_that_fails_falls_back_and_the_next_change_is_tried(world: World) -> None:
    apply(world)
    world.settled("Asleep")
    first = awake(world, "pod-1")
    worked = template(world)
    assert world.status()["regions"][0]["provenTemplates"] == {
        "ondemand": worked["metadata"]["annotations"][names.ANNOTATION_TEMPLATE]
    }
    keep_replica_set(world)
    apply(world, suspend=True)
    world.settled("Draining")
    world.delete_pod(first)
    world.settled("Suspended")
    apply(world, image="localhost/absent:2")
    world.until(lambda: image(world) == "localhost/absent:2", "the new template is applied")
    world.renew()
    world.settled("Waking")
    broken = pod_of_template(world, "pod-2")
    waiting = {"reason": "InvalidImageName", "message": "couldn't parse image name"}
    container = {"name": "inference", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    world.pod_status(broken, {"phase": "Pending", "containerStatuses": [container | {"state": {"waiting": waiting}}]})
    world.until(lambda: image(world) == IMAGE, "the template that worked is back")
    world.delete_pod(broken)
    assert template(world) == worked
    world.until(lambda: world.replicas() == 1, "woken again, without back-off")
    world.pod_ready(pod_of_template(world, "pod-3"))
    world.settled("Awake")
    degraded = world.until_condition("Degraded", "FellBack")
    assert "couldn't parse image name" in degraded["message"]
    verified = world.condition("Verified")
    assert (verified["status"], verified["reason"]) == ("False", "ImageNotFound")
    world.until_quiet()
    assert image(world) == IMAGE
    apply(world, image="localhost/next:3")
    world.until(lambda: image(world) == "localhost/next:3", "another change is tried at once")


def test_replace_keeps_the_only_server(world: World) -> None:
    apply(world, "Replace")
    world.settled("Asleep")
    awake(world, "pod-1")
    apply(world, "Replace", image="localhost/next:2")
    waiting = world.until_condition("Degraded", "RolloutWaiting")
    assert "Surge" in waiting["message"], "it names the way out"
    world.until_quiet()
    assert image(world) == IMAGE
    world.pod_ready(pod_of_template(world, "pod-2"), "10.9.9.10")
    world.set_load("10.9.9.9", "10.9.9.10")
    world.until(lambda: image(world) == "localhost/next:2", "another server serves meanwhile")
    world.until_condition("Degraded", "AsExpected")
