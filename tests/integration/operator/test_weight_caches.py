"""Weights in a claim: the operator and a real API server; the tests write what controllers and kubelets would."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_testbed.errors import ApiError

# conftest.World: pytest loads test folders without packages, so the class cannot be imported by name.
World = Any

CACHE: dict[str, Any] = {"weights": {"type": "PersistentVolumeClaim", "storageClassName": "fast"}}


STORAGE_CLASS = "/apis/storage.k8s.io/v1/storageclasses/fast"


@pytest.fixture(autouse=True)
def _storage_class(world: World) -> Iterator[None]:
    """The class that claims ask for; its provisioner does not run, so no claim is bound."""
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    world.api.apply(STORAGE_CLASS, body | {"provisioner": "voxfleet.dev/none"})
    yield
    with suppress(ApiError):
        world.api.delete(STORAGE_CLASS)


def spec(revision: str = "main", **fields: Any) -> dict[str, Any]:
    model = {"source": "hf://org/voice", "revision": revision, "secretRef": {"name": "hf"}}
    region = {"name": "eu-central"}
    base = {"model": model, "regions": [region], "gpu": {"count": 0}, "cache": CACHE}
    return {**base, "autoscaling": {"idleTimeoutSeconds": 600}, **fields}


def listed(world: World, path: str) -> list[Any]:
    items: list[Any] = world.api.get(f"{path.format(world.namespace)}?labelSelector={names.LABEL_DEPLOYMENT}")["items"]
    return items


def jobs(world: World) -> list[Any]:
    return listed(world, "/apis/batch/v1/namespaces/{}/jobs")


def claims(world: World) -> list[Any]:
    return listed(world, "/api/v1/namespaces/{}/persistentvolumeclaims")


def job_of(world: World, revision: str = "main") -> Any:
    """Wait for the Job that fetches a revision."""

    def found() -> Any:
        fetching = [each for each in jobs(world) if revision in arguments(each)]
        return max(fetching, key=lambda each: each["metadata"]["annotations"][names.ANNOTATION_ATTEMPT], default=None)

    world.until(found, f"a Job that fetches {revision}")
    return found()


def arguments(job: Any) -> list[str]:
    made: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return made


def end_job(world: World, job: Any, kind: str) -> None:
    """Write the status that the Job controller writes at the end; the API server checks it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
    reason = {"Complete": "CompletionsReached", "Failed": "PodFailurePolicy"}[kind]
    conditions = [
        {"type": each, "status": "True", "reason": reason, "message": "ended", "lastTransitionTime": now}
        for each in (before, kind)
    ]
    status = {"startTime": now, "conditions": conditions, "uncountedTerminatedPods": {}, "terminating": 0, "ready": 0}
    status |= {"succeeded": 1, "completionTime": now} if kind == "Complete" else {"failed": 1}
    path = f"/apis/batch/v1/namespaces/{world.namespace}/jobs/{job['metadata']['name']}/status"
    world.api.request("PATCH", path, {"status": status}, "application/merge-patch+json")


def add_pod(world: World, job: Any, status: dict[str, Any]) -> None:
    name = f"{job['metadata']['name']}-x"
    labels = job["spec"]["template"]["metadata"]["labels"] | {names.LABEL_JOB: job["metadata"]["name"]}
    containers = [{"name": "fetch-weights", "image": "none"}]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": world.namespace}}
    body["metadata"]["labels"] = labels  # type: ignore[index]
    body["spec"] = {"containers": containers, "restartPolicy": "Never", "automountServiceAccountToken": False}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{name}"
    world.api.apply(path, body)
    world.made.append(path)
    world.pod_status(path, status)


def container(**state: Any) -> dict[str, Any]:
    fields = {"name": "fetch-weights", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    return {"containerStatuses": [{**fields, "state": state}]}


def message(world: World) -> str:
    found: str = world.status()["regions"][0].get("message", "")
    return found


def template(world: World) -> Any:
    return world.api.get(world.deployment_path())["spec"]["template"]


def model_path(world: World) -> str:
    flags: list[str] = template(world)["spec"]["containers"][0]["args"]
    return flags[flags.index("--model-path") + 1]


def test_a_job_fills_the_claim_before_the_first_wake(world: World) -> None:
    world.apply(spec())
    job = job_of(world)
    (claim,) = claims(world)
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "VoxTTSDeployment"
    world.settled("Asleep")
    world.until(lambda: "is starting" in message(world), "the message names the Job")
    world.renew()
    world.settled("Waking")
    assert world.replicas() == 0
    add_pod(world, job, container(running={}))
    world.until(lambda: "is fetching" in message(world), "the message names the pod")
    assert world.condition("Ready")["reason"] == "FetchingWeights"
    end_job(world, job, "Complete")
    world.until(lambda: world.replicas() == 1, "the region wakes")
    pod = template(world)["spec"]
    assert not pod.get("initContainers"), "a wake downloads nothing"
    assert model_path(world) == arguments(job)[arguments(job).index("--target") + 1]
    assert len(jobs(world)) == 1
    world.until_quiet()


def test_a_storage_class_that_does_not_exist_is_named_with_those_that_do(world: World) -> None:
    world.apply(spec(cache={"weights": CACHE["weights"] | {"storageClassName": "fats"}}))
    world.until_condition("Ready", "ClaimNotBound")
    assert "cache.weights.storageClassName fats" in message(world)
    assert "the cluster has no storage class fats; it has fast" in message(world)


def test_a_claim_of_the_user_for_one_node_is_reported(world: World) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/persistentvolumeclaims/voice"
    request = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "voice"}, "spec": request}
    world.api.apply(path, body)
    world.made.append(path)
    world.apply(spec(model={"source": "pvc://voice/en"}, cache={}, autoscaling={"maxReplicas": 2}))
    degraded = world.until_condition("Degraded", "ClaimNotShared")
    assert degraded["message"].startswith("model.source pvc://voice/en: claim voice has access mode ReadWriteOnce")
    world.until_quiet()


def test_a_failed_fetch_has_the_pods_own_words_and_waits(world: World) -> None:
    world.apply(spec())
    job = job_of(world)
    words = "cannot fetch hf://org/voice at main: the repository is gated: request access on its page"
    add_pod(world, job, {"phase": "Failed", **container(terminated={"exitCode": 3, "message": words})})
    end_job(world, job, "Failed")
    world.settled("Failed")
    ready = world.until_condition("Ready", "WeightsNotFetched")
    assert "model.source hf://org/voice at model.revision main" in ready["message"]
    assert words in ready["message"]
    entry = world.registry()["regions"][0]
    assert (entry["phase"], words in entry["message"]) == ("Failed", True), "gateways report it to clients"
    world.renew()
    world.until_quiet()
    assert len(jobs(world)) == 1, "no new Job before the back-off is over"
    # A correction of the spec is tried at once; the failed Job goes.
    world.apply(spec(podTemplate={"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}))
    world.until(lambda: job["metadata"]["name"] not in {each["metadata"]["name"] for each in jobs(world)}, "replaced")
    (again,) = jobs(world)
    assert again["metadata"]["annotations"][names.ANNOTATION_ATTEMPT] == "2"
    assert "HTTPS_PROXY" in str(again["spec"]["template"])


def test_a_missing_secret_names_the_field_and_mends_itself(world: World) -> None:
    world.apply(spec())
    job = job_of(world)
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}
    add_pod(world, job, container(waiting=waiting))
    world.until_condition("Ready", "SecretNotFound")
    assert "model.secretRef hf: pod" in message(world)
    world.pod_status(f"/api/v1/namespaces/{world.namespace}/pods/{job['metadata']['name']}-x", container(running={}))
    world.settled("Asleep")


def test_another_revision_leaves_the_last_good_weights_until_it_is_fetched(world: World) -> None:
    world.apply(spec())
    end_job(world, job_of(world), "Complete")
    world.renew()
    world.settled("Waking")
    world.pod_ready(world.pod("pod-1"))
    world.settled("Awake")
    before, earlier = template(world), model_path(world)
    world.apply(spec(revision="v2"))
    failing = job_of(world, "v2")
    end_job(world, failing, "Failed")
    degraded = world.until_condition("Degraded", "WeightsNotFetched")
    assert "region eu-central keeps its earlier weights" in degraded["message"]
    assert template(world) == before
    assert world.phase() == "Awake"
    assert len(jobs(world)) == 2, "the record of the earlier weights is kept"
    world.apply(spec(revision="v2", podTemplate={"env": [{"name": "A", "value": "b"}]}))
    world.until(lambda: job_of(world, "v2")["metadata"]["name"] != failing["metadata"]["name"], "another attempt")
    end_job(world, job_of(world, "v2"), "Complete")
    world.until(lambda: model_path(world) != earlier, "the new template")
    world.until(lambda: len(jobs(world)) == 1, "the earlier record goes")
    assert len(claims(world)) == 1


def test_image_volumes_that_are_not_served_are_a_condition(world: World) -> None:
    world.apply(spec(model={"source": "oci://registry.example.com/voice:1"}, cache={}))
    world.until(lambda: world.phase() in {"Asleep", "Failed"}, "decided")
    if world.phase() == "Asleep":  # this version's default of the feature gate
        assert template(world)["spec"]["volumes"][-1]["image"]["reference"] == "registry.example.com/voice:1"
        return
    world.until_condition("Ready", "ImageVolumesNotServed")
    assert "use cache.weights.type PersistentVolumeClaim" in message(world)
    world.until_quiet()


def test_a_host_path_that_is_not_allowed_is_a_condition(world: World) -> None:
    world.apply(spec(cache={"weights": {"type": "HostPath", "path": "/srv/models"}}))
    world.until_condition("Ready", "HostPathForbidden")
    assert "cache.weights.path /srv/models" in message(world)


def test_one_daemon_set_pulls_for_two_resources(world: World) -> None:
    path = "/apis/apps/v1/namespaces/{}/daemonsets"
    asking = spec(model={"source": "file:///models/tiny"}, cache={"prePullImage": True})
    world.apply(asking)
    world.until(lambda: len(listed(world, path)) == 1, "a DaemonSet")
    world.apply(asking, name="second")
    world.settled("Asleep", name="second")
    world.until_quiet()
    (made,) = listed(world, path)
    assert made["metadata"]["labels"][names.LABEL_DEPLOYMENT] == "narrator"
    world.apply(asking | {"cache": {}})
    world.until(
        lambda: [each["metadata"]["labels"][names.LABEL_DEPLOYMENT] for each in listed(world, path)] == ["second"],
        "the second resource takes it over",
    )
