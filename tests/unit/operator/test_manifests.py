"""Objects as values: hardened pods, the right names and owners, nothing that changes with time."""

import json
from typing import Any

import pytest
from voxfleet_operator.decisions.region_plan import RegionPlan
from voxfleet_operator.manifests import Installation, Manifest, desired_objects
from voxfleet_operator.manifests.pod import PodSettings, internal_token_sha256
from voxfleet_operator.resources import Phase, Resource, read_resource

SETTINGS = PodSettings("localhost/voxfleet-inference:test", "IfNotPresent", "key")
INSTALLATION = Installation("voxfleet-system", "voxfleet-demand", "gw.voxfleet-system.svc", SETTINGS, ("/srv/models",))


def resource(**spec: Any) -> Resource:
    metadata = {
        "namespace": "default",
        "name": "narrator",
        "uid": "u1",
        "generation": 4,
        "creationTimestamp": "2026-11-23T20:00:00Z",
    }
    return read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], **spec}})


def made(of: Resource, phase: Phase = Phase.ASLEEP, replicas: int = 0, **plan: Any) -> list[Manifest]:
    plans = {
        region.name: RegionPlan(region.name, phase, replicas, reason=str(phase), **plan) for region in of.spec.regions
    }
    return desired_objects(of, plans, INSTALLATION, owns_model_name=True)


def only(manifests: list[Manifest], kind: str) -> dict[str, Any]:
    return next(manifest.body for manifest in manifests if manifest.kind == kind)


def pod(of: Resource) -> dict[str, Any]:
    spec: dict[str, Any] = only(made(of), "Deployment")["spec"]["template"]["spec"]
    return spec


def flags(of: Resource) -> dict[str, str]:
    arguments = pod(of)["containers"][0]["args"]
    return dict(zip(arguments[1::2], arguments[2::2], strict=True))


def test_the_objects_of_one_region() -> None:
    kinds = [manifest.kind for manifest in made(resource())]
    assert kinds == ["Lease", "Service", "Service", "NetworkPolicy", "ConfigMap", "Deployment"]


def test_what_wakes_is_applied_first() -> None:
    kinds = [manifest.kind for manifest in made(resource(), Phase.WAKING, 1, woken_at=1_795_000_000.5)]
    assert kinds[0] == "Deployment"


def test_replicas_are_always_said() -> None:
    assert only(made(resource()), "Deployment")["spec"]["replicas"] == 0
    assert only(made(resource(), Phase.AWAKE, 3), "Deployment")["spec"]["replicas"] == 3


def test_a_rollout_of_one_replica_loses_nothing() -> None:
    strategy = only(made(resource()), "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_pod_is_hardened() -> None:
    spec = pod(resource())
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsUser"] == 65532
    for container in spec["containers"] + spec["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert spec["terminationGracePeriodSeconds"] == 150


def test_a_long_load_is_not_killed_by_probes() -> None:
    server = pod(resource())["containers"][0]
    assert server["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert server["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert server["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_the_pod_gets_the_hash_of_its_token_only() -> None:
    digest = flags(resource())["--internal-token-sha256"]
    assert digest == internal_token_sha256("key", "default", "narrator")
    assert digest != internal_token_sha256("key", "default", "other")


def test_one_gpu_is_asked_for_and_tolerated() -> None:
    spec = pod(resource())
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert flags(resource())["--device"] == "cuda"


def test_no_gpu_is_the_cpu() -> None:
    on_cpu = resource(gpu={"count": 0}, resources={"requests": {"cpu": 1}})
    assert flags(on_cpu)["--device"] == "cpu"
    assert pod(on_cpu)["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert pod(on_cpu)["tolerations"] == []


@pytest.mark.parametrize(
    ("source", "path", "volume"),
    [
        ("file:///models/tiny", "/models/tiny", None),
        ("file:///srv/models/big", "/srv/models/big", "hostPath"),
        ("file:///srv/models-of-others/x", "/srv/models-of-others/x", None),
        ("pvc://claim/a/b", "/weights/a/b", "persistentVolumeClaim"),
        ("hf://openbmb/VoxCPM1.5", "/weights", "emptyDir"),
    ],
)
def test_weights(source: str, path: str, volume: str | None) -> None:
    of = resource(model={"source": source})
    assert flags(of)["--model-path"] == path
    weights = [entry for entry in pod(of)["volumes"] if entry["name"] == "weights"]
    assert [next(key for key in entry if key != "name") for entry in weights] == ([volume] if volume else [])
    mounts = [entry for entry in pod(of)["containers"][0]["volumeMounts"] if entry["name"] == "weights"]
    assert all(mount["readOnly"] for mount in mounts)


def test_a_download_has_the_secret_and_the_server_has_not() -> None:
    of = resource(model={"source": "hf://a/b", "secretRef": {"name": "hf"}})
    spec = pod(of)
    fetch = spec["initContainers"][0]
    assert fetch["args"] == ["fetch", "--source", "hf://a/b", "--revision", "main", "--target", "/weights"]
    assert fetch["env"][1]["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "token"}
    assert "HF_TOKEN" not in json.dumps(spec["containers"])


@pytest.mark.parametrize(("cpu", "threads"), [("100m", "1"), (2, "2"), ("1500m", "2")])
def test_threads_follow_the_cpus_asked_for(cpu: str | int, threads: str) -> None:
    of = resource(gpu={"count": 0}, resources={"requests": {"cpu": cpu}})
    assert {"name": "VOXFLEET_CPU_THREADS", "value": threads} in pod(of)["containers"][0]["env"]
    mine = {"env": [{"name": "VOXFLEET_CPU_THREADS", "value": "7"}]}
    of = resource(gpu={"count": 0}, resources={"requests": {"cpu": cpu}}, podTemplate=mine)
    assert [entry["value"] for entry in pod(of)["containers"][0]["env"]] == ["/home/voxfleet", "7"]


def test_what_users_add_comes_under_ours() -> None:
    template = {
        "metadata": {"labels": {"team": "speech"}, "annotations": {"note": "x"}},
        "env": [{"name": "HOME", "value": "/root"}, {"name": "EXTRA", "value": "1"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "own", "emptyDir": {}}],
        "volumeMounts": [{"name": "own", "mountPath": "/own"}, {"name": "own", "mountPath": "/home/voxfleet"}],
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    }
    of = resource(podTemplate=template)
    body = only(made(of), "Deployment")["spec"]["template"]
    assert body["metadata"]["labels"]["team"] == "speech"
    server = body["spec"]["containers"][0]
    assert {entry["name"]: entry["value"] for entry in server["env"]} == {"HOME": "/home/voxfleet", "EXTRA": "1"}
    assert [entry["name"] for entry in body["spec"]["volumes"]].count("tmp") == 1
    assert [entry["mountPath"] for entry in server["volumeMounts"]].count("/home/voxfleet") == 1
    assert {"key": "spot", "operator": "Exists"} in body["spec"]["tolerations"]


def test_a_regions_own_values_win_field_by_field() -> None:
    region = {
        "name": "eu",
        "nodeSelector": {"pool": "a"},
        "autoscaling": {"idleTimeoutSeconds": 60},
        "podTemplate": {"runtimeClassName": "nvidia"},
    }
    of = resource(regions=[region], podTemplate={"priorityClassName": "high"})
    assert pod(of)["nodeSelector"] == {"pool": "a"}
    assert pod(of)["runtimeClassName"] == "nvidia"
    assert pod(of)["priorityClassName"] == "high"
    assert only(made(of), "Lease")["spec"] == {"leaseDurationSeconds": 60}


def test_the_lease_never_carries_the_gateways_fields() -> None:
    """Who applies renewTime owns it, and would take it away with the next apply."""
    assert set(only(made(resource()), "Lease")["spec"]) == {"leaseDurationSeconds"}


def test_the_registry_entry() -> None:
    region = {
        "name": "eu",
        "location": {"latitude": "50.11", "longitude": "8.68"},
        "allowedClients": ["DE"],
        "pricePerGpuHour": {"onDemand": "1.01"},
    }
    config_map = only(made(resource(regions=[region]), Phase.FAILED, message="no weights"), "ConfigMap")
    assert config_map["metadata"]["namespace"] == "voxfleet-system"
    assert config_map["metadata"]["labels"]["voxfleet.dev/model-registry"] == "true"
    entry = json.loads(config_map["data"]["model.json"])
    assert (entry["schema"], entry["model"], entry["generation"]) == ("voxfleet.dev/registry/v1", "narrator", 4)
    told = entry["regions"][0]
    assert (told["latitude"], told["longitude"], told["allowed_clients"]) == (50.11, 8.68, ["DE"])
    assert (told["phase"], told["message"], told["price_per_gpu_hour"]) == ("Failed", "no weights", 1.01)
    assert told["service"]["name"].startswith("narrator-eu-")


def test_a_remote_region_gets_no_objects_here() -> None:
    remote = {"name": "ap", "kubeConfigSecretRef": {"name": "k"}, "gatewayURL": "https://ap.example.com"}
    manifests = made(resource(regions=[{"name": "eu"}, remote]))
    assert [manifest.kind for manifest in manifests].count("Deployment") == 1
    entry = json.loads(only(manifests, "ConfigMap")["data"]["model.json"])
    assert [region["local"] for region in entry["regions"]] == [True, False]


def test_the_same_plan_makes_the_same_objects() -> None:
    first, second = made(resource(), Phase.AWAKE, 2), made(resource(), Phase.AWAKE, 2)
    assert [json.dumps(manifest.body) for manifest in first] == [json.dumps(manifest.body) for manifest in second]
