"""The Job that fills a claim, and the DaemonSet that pulls images."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.decisions.weights.fetches import Fetch
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.manifests.pre_pull import daemon_set_spec, owned_by, pre_pulls
from voxfleet_operator.resources import Key, Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]
SETTINGS = PodSettings("image:1", "IfNotPresent", "key")
CACHE = {"weights": {"type": "PersistentVolumeClaim"}}


def one(made: list[Manifest], kind: str) -> dict[str, Any]:
    (found,) = [manifest.body for manifest in made if manifest.kind == kind]
    return found


def test_the_job_writes_the_claim_that_servers_read(resource: Resources, made: Made) -> None:
    manifests = made(
        resource(model={"source": "s3://bucket/voice", "secretRef": {"name": "keys"}}, cache=CACHE),
        fetch=Fetch("k", 2, "uid"),
    )
    claim, job, deployment = (one(manifests, kind) for kind in ("PersistentVolumeClaim", "Job", "Deployment"))
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert job["metadata"]["annotations"] == {
        names.ANNOTATION_ATTEMPT: "2",
        names.ANNOTATION_CLAIM_UID: "uid",
        names.ANNOTATION_GENERATION: "4",
    }
    writing, reading = (each["spec"]["template"]["spec"] for each in (job, deployment))
    volumes = [next(v for v in pod["volumes"] if v["name"] == "weights") for pod in (writing, reading)]
    assert volumes == [{"name": "weights", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}] * 2
    fetcher, server = writing["containers"][0], reading["containers"][0]
    assert {"name": "weights", "mountPath": "/weights"} in fetcher["volumeMounts"]
    assert {"name": "weights", "mountPath": "/weights", "readOnly": True} in server["volumeMounts"]
    target = fetcher["args"][fetcher["args"].index("--target") + 1]
    assert server["args"][server["args"].index("--model-path") + 1] == target
    assert reading["initContainers"] == []
    assert deployment["spec"]["template"]["metadata"]["annotations"][names.LABEL_WEIGHTS] == "k"


def test_the_job_needs_no_gpu_and_its_pod_is_no_server(resource: Resources, made: Made) -> None:
    manifests = made(resource(cache=CACHE), fetch=Fetch("k"))
    pod = one(manifests, "Job")["spec"]["template"]
    assert "nvidia.com/gpu" not in str(pod["spec"]["containers"])
    assert pod["spec"]["nodeSelector"] == {"topology.kubernetes.io/region": "eu"}
    selector = one([each for each in manifests if "eu" in each.ref.name], "Service")["spec"]["selector"]
    assert not selector.items() <= pod["metadata"]["labels"].items()
    assert selector.items() <= one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    limits = pod["spec"]["containers"][0]["resources"]
    assert {"cpu", "memory"} == limits["limits"].keys() == limits["requests"].keys()


def job_pod(made: Made, of: Resource) -> dict[str, Any]:
    pod: dict[str, Any] = one(made(of, fetch=Fetch("k")), "Job")["spec"]["template"]
    return pod


@pytest.mark.parametrize("spot", ["Never", "Preferred", "Required"])
@pytest.mark.parametrize("gpu", [{"count": 1, "resourceName": "amd.com/gpu"}, {"count": 0}])
def test_the_job_runs_on_every_node_that_servers_tolerate(
    resource: Resources, made: Made, spot: str, gpu: dict[str, Any]
) -> None:
    own = [{"key": "team", "operator": "Exists"}]
    of = resource(cache=CACHE, capacity={"spot": spot}, gpu=gpu, podTemplate={"tolerations": own})
    manifests = made(of, fetch=Fetch("k"))
    tolerated = one(manifests, "Job")["spec"]["template"]["spec"]["tolerations"]
    servers = [each.body["spec"]["template"]["spec"] for each in manifests if each.kind == "Deployment"]
    assert servers
    for server in servers:
        assert [each for each in server["tolerations"] if each not in tolerated] == []


def test_no_proxy_of_a_mesh_keeps_the_job_from_its_end(resource: Resources, made: Made) -> None:
    users = {"annotations": {"linkerd.io/inject": "enabled"}, "labels": {"sidecar.istio.io/inject": "true"}}
    metadata = job_pod(made, resource(cache=CACHE, podTemplate={"metadata": users}))["metadata"]
    assert metadata["annotations"]["linkerd.io/inject"] == "disabled"
    assert metadata["annotations"]["sidecar.istio.io/inject"] == "false"
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert names.PROTECTION.items() <= metadata["annotations"].items()


def test_the_job_asks_for_no_gpu_in_any_way(resource: Resources, made: Made) -> None:
    added = {"runtimeClassName": "nvidia", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}
    pod = job_pod(made, resource(cache=CACHE, podTemplate=added))["spec"]
    assert "runtimeClassName" not in pod
    env = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "NVIDIA_VISIBLE_DEVICES"]
    assert env == ["void"]


ZONE = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
MACHINE = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g6.xlarge"]}


@pytest.mark.parametrize(
    ("terms", "kept"),
    [
        ([[ZONE, MACHINE]], [[ZONE]]),
        ([[ZONE], [ZONE, MACHINE]], [[ZONE], [ZONE]]),
        ([[MACHINE]], None),
        ([[ZONE], [MACHINE]], None),
    ],
    ids=["zone-and-machine", "two-terms", "machine-alone", "any-zone-of-a-machine"],
)
def test_a_new_volume_is_made_in_a_zone_of_the_servers(
    resource: Resources, made: Made, terms: list[list[Any]], kept: list[list[Any]] | None
) -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    pod = job_pod(made, resource(cache=CACHE, podTemplate={"affinity": affinity}))["spec"]
    if kept is None:
        assert "affinity" not in pod
        return
    found = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchExpressions"] for term in found] == kept


def test_an_eviction_costs_the_job_none_of_its_tries(resource: Resources, made: Made) -> None:
    rules = one(made(resource(cache=CACHE), fetch=Fetch("k")), "Job")["spec"]["podFailurePolicy"]["rules"]
    ignored = [rule for rule in rules if rule["action"] == "Ignore"]
    assert ignored == [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]


def test_without_a_key_there_is_a_claim_and_no_job(resource: Resources, made: Made) -> None:
    kinds = [manifest.kind for manifest in made(resource(cache=CACHE))]
    assert kinds.count("PersistentVolumeClaim") == 1
    assert "Job" not in kinds


def test_each_attempt_and_each_kind_of_storage_has_its_own_name(resource: Resources, made: Made) -> None:
    jobs = {one(made(resource(cache=CACHE), fetch=Fetch("k", n)), "Job")["metadata"]["name"] for n in (1, 2)}
    claims = {
        one(made(resource(cache={"weights": CACHE["weights"] | {"storageClassName": name}})), "PersistentVolumeClaim")[
            "metadata"
        ]["name"]
        for name in ("fast", "slow")
    }
    assert (len(jobs), len(claims)) == (2, 2)


def test_regions_of_one_placement_share_a_pull(resource: Resources) -> None:
    where = {"nodeSelector": {"pool": "gpu"}}
    of = resource(regions=[{"name": "a", **where}, {"name": "b", **where}, {"name": "c"}], cache={"prePullImage": True})
    pulls = pre_pulls(of, SETTINGS)
    assert [region.name for region in pulls.values()] == ["a", "c"]


def test_the_oldest_resource_pulls_for_all_with_the_same_image_and_placement(resource: Resources) -> None:
    older = resource(cache={"prePullImage": True})
    younger = replace(older, key=Key("default", "younger"), created_at="2026-11-24T20:00:00Z")
    other = resource(cache={"prePullImage": True}, image="image:2")
    other = replace(other, key=Key("default", "other"), created_at="2026-11-25T20:00:00Z")
    everyone = [younger, other, older]
    assert len(owned_by(older, everyone, SETTINGS)) == 1
    assert owned_by(younger, everyone, SETTINGS) == frozenset()
    assert len(owned_by(younger, [younger, other], SETTINGS)) == 1
    assert len(owned_by(other, everyone, SETTINGS)) == 1
    assert owned_by(resource(), everyone, SETTINGS) == frozenset()


def test_a_pulling_pod_runs_where_servers_do_and_needs_nothing(resource: Resources) -> None:
    of = resource(cache={"prePullImage": True}, podTemplate={"imagePullSecrets": [{"name": "registry"}]})
    spec = daemon_set_spec(of, of.spec.regions[0], "narrator-pull-1", SETTINGS)
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["image"] == "image:1"
    assert "nvidia.com/gpu" not in str(pod["containers"])
    assert any(each["key"] == "nvidia.com/gpu" for each in pod["tolerations"])
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert names.LABEL_DEPLOYMENT not in spec["template"]["metadata"]["labels"], "no pod of ours to be watched"
