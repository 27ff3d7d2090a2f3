"""Weights by the scheme of model.source."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
Pods = Callable[[Resource], dict[str, Any]]


def flags(pod: Pods, of: Resource) -> dict[str, str]:
    arguments = pod(of)["containers"][0]["args"]
    return dict(zip(arguments[1::2], arguments[2::2], strict=True))


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
def test_weights(source: str, path: str, volume: str | None, resource: Resources, pod: Pods) -> None:
    of = resource(model={"source": source})
    assert flags(pod, of)["--model-path"] == path
    weights = [entry for entry in pod(of)["volumes"] if entry["name"] == "weights"]
    assert [next(key for key in entry if key != "name") for entry in weights] == ([volume] if volume else [])
    mounts = [entry for entry in pod(of)["containers"][0]["volumeMounts"] if entry["name"] == "weights"]
    assert all(mount["readOnly"] for mount in mounts)


def test_a_download_has_the_secret_and_the_server_has_not(resource: Resources, pod: Pods) -> None:
    of = resource(model={"source": "hf://a/b", "secretRef": {"name": "hf"}})
    spec = pod(of)
    fetch = spec["initContainers"][0]
    assert fetch["args"] == ["fetch", "--source", "hf://a/b", "--revision", "main", "--target", "/weights"]
    assert fetch["env"][1]["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "token"}
    assert "HF_TOKEN" not in json.dumps(spec["containers"])


def test_a_download_gets_the_users_environment_mounts_and_amounts(resource: Resources, pod: Pods) -> None:
    """A quota refuses a pod with a container without limits; proxies and private authorities concern downloads."""
    template = {
        "env": [
            {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
            {"name": "HF_TOKEN", "value": "the secret's value is used"},
            {"name": "HOME", "value": "/root"},
        ],
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "volumeMounts": [
            {"name": "ca", "mountPath": "/etc/ssl/certs"},
            {"name": "ca", "mountPath": "/tmp"},  # noqa: S108 - of the container
            {"name": "ca", "mountPath": "/weights"},
            {"name": "ca", "mountPath": "/home/voxfleet"},
        ],
    }
    amounts = {"requests": {"cpu": 2, "nvidia.com/gpu": 1}, "limits": {"memory": "8Gi", "nvidia.com/gpu": 1}}
    model = {"source": "hf://a/b", "secretRef": {"name": "hf"}}
    spec = pod(resource(model=model, resources=amounts, podTemplate=template))
    fetch, server = spec["initContainers"][0], spec["containers"][0]
    assert [(entry["name"], entry.get("value")) for entry in fetch["env"]] == [
        ("HOME", "/tmp"),  # noqa: S108 - of the container
        ("HF_TOKEN", None),
        ("HTTPS_PROXY", "http://proxy:3128"),
    ]
    paths = [mount["mountPath"] for mount in fetch["volumeMounts"]]
    assert paths == ["/weights", "/tmp", "/etc/ssl/certs"]  # noqa: S108 - of the container
    assert fetch["volumeMounts"][0] == {"name": "weights", "mountPath": "/weights"}, "writable for the download"
    assert fetch["resources"] == {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}}
    assert server["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "1"}


amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]), st.integers(1, 9))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=amounts, limits=amounts)
def test_property_a_quota_that_the_server_meets_every_container_meets(
    requests: dict[str, int], limits: dict[str, int], resource: Resources, pod: Pods
) -> None:
    spec = pod(resource(model={"source": "hf://a/b"}, resources={"requests": requests, "limits": limits}))
    server = spec["containers"][0]["resources"]
    for container in spec["initContainers"]:
        for kind in ("requests", "limits"):
            expected = {key: value for key, value in server.get(kind, {}).items() if key != "nvidia.com/gpu"}
            assert container["resources"].get(kind, {}) == expected
