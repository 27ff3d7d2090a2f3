"""Weights by the scheme of model.source."""

import json
from collections.abc import Callable
from typing import Any

import pytest
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
