"""The pod template: hardened, with the flags of the spec, and a user's additions merged under it."""

from collections.abc import Callable
from typing import Any

from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]
Pods = Callable[[Resource], dict[str, Any]]


def only(manifests: list[Manifest], kind: str) -> dict[str, Any]:
    return next(manifest.body for manifest in manifests if manifest.kind == kind)


def flags(pod: Pods, of: Resource) -> dict[str, str]:
    arguments = pod(of)["containers"][0]["args"]
    return dict(zip(arguments[1::2], arguments[2::2], strict=True))


def test_the_pod_is_hardened(resource: Resources, pod: Pods) -> None:
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


def test_one_gpu_is_asked_for_and_tolerated(resource: Resources, pod: Pods) -> None:
    spec = pod(resource())
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert flags(pod, resource())["--device"] == "cuda"


def test_no_gpu_is_the_cpu(resource: Resources, pod: Pods) -> None:
    on_cpu = resource(gpu={"count": 0}, resources={"requests": {"cpu": 1}})
    assert flags(pod, on_cpu)["--device"] == "cpu"
    assert pod(on_cpu)["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert pod(on_cpu)["tolerations"] == []


def test_a_users_additions_are_merged_under_our_own(resource: Resources, made: Made) -> None:
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


def test_a_regions_own_values_win_field_by_field(resource: Resources, made: Made, pod: Pods) -> None:
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
