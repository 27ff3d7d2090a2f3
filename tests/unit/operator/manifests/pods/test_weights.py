"""Weights by the scheme of model.source and the type of the cache."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_operator.manifests.pods.weights import weights_of
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
Pods = Callable[[Resource], dict[str, Any]]
CLAIM = {"weights": {"type": "PersistentVolumeClaim", "storageClassName": "fast"}}


def flags(pod: Pods, of: Resource) -> dict[str, str]:
    arguments = pod(of)["containers"][0]["args"]
    return dict(zip(arguments[1::2], arguments[2::2], strict=True))


@pytest.mark.parametrize(
    ("source", "cache", "path", "volume"),
    [
        ("file:///models/tiny", {}, "/models/tiny", None),
        ("file:///srv/models/big", {}, "/srv/models/big", "hostPath"),
        ("file:///srv/models-of-others/x", {}, "/srv/models-of-others/x", None),
        ("pvc://claim/a/b", {}, "/weights/a/b", "persistentVolumeClaim"),
        ("pvc://claim/a/b", CLAIM, "/weights/a/b", "persistentVolumeClaim"),
        ("oci://registry/weights:1", {}, "/weights", "image"),
        ("hf://a/b", {"weights": {"type": "Image", "image": "registry/weights:1"}}, "/weights", "image"),
        ("hf://openbmb/VoxCPM1.5", {}, "/weights", "emptyDir"),
        ("s3://bucket/prefix", {}, "/weights", "emptyDir"),
        ("hf://a/VoxCPM1.5", CLAIM, "/weights/VoxCPM1.5-main-", "persistentVolumeClaim"),
        (
            "s3://b/voice",
            {"weights": {"type": "HostPath", "path": "/srv/models/c"}},
            "/weights/voice-main-",
            "hostPath",
        ),
    ],
)
def test_weights(
    source: str, cache: dict[str, Any], path: str, volume: str | None, resource: Resources, pod: Pods
) -> None:
    of = resource(model={"source": source}, cache=cache)
    found = flags(pod, of)["--model-path"]
    assert found == path or found.startswith(path + ("" if path.endswith("-") else "/"))
    weights = [entry for entry in pod(of)["volumes"] if entry["name"] == "weights"]
    assert [next(key for key in entry if key != "name") for entry in weights] == ([volume] if volume else [])
    mounts = [entry for entry in pod(of)["containers"][0]["volumeMounts"] if entry["name"] == "weights"]
    assert all(mount["readOnly"] for mount in mounts)


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("hf://a/b", {"HF_TOKEN": ("token", False)}),
        (
            "s3://bucket/prefix",
            {
                "AWS_ACCESS_KEY_ID": ("accessKeyId", False),
                "AWS_SECRET_ACCESS_KEY": ("secretAccessKey", False),
                "AWS_SESSION_TOKEN": ("sessionToken", True),
                "AWS_ENDPOINT_URL": ("endpoint", True),
                "AWS_REGION": ("region", True),
            },
        ),
    ],
)
def test_a_download_has_the_secret_and_the_server_has_not(
    source: str, variables: dict[str, tuple[str, bool]], resource: Resources, pod: Pods
) -> None:
    spec = pod(resource(model={"source": source, "secretRef": {"name": "keys"}}))
    fetch = spec["initContainers"][0]
    assert fetch["args"][:7] == ["fetch", "--source", source, "--revision", "main", "--target", "/weights"]
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in fetch["env"] if "valueFrom" in each}
    assert {name: (each["key"], each.get("optional", False)) for name, each in references.items()} == variables
    assert {each["name"] for each in references.values()} == {"keys"}
    assert not any(name in json.dumps(spec["containers"]) for name in variables)


def test_revisions_have_folders_of_their_own(resource: Resources) -> None:
    def path(revision: str) -> str:
        of = resource(model={"source": "hf://a/b", "revision": revision}, cache=CLAIM)
        return weights_of(of, of.spec.regions[0], ()).model_path

    assert len({path("main"), path("v2"), path("refs/pr/1"), path("refs-pr-1")}) == 4


@pytest.mark.parametrize("path", ["/srv/models/../other", "/srv/models-2", "/srv", "/srv/models/.."])
def test_no_way_around_the_allowed_host_paths(path: str, resource: Resources) -> None:
    of = resource(cache={"weights": {"type": "HostPath", "path": path}})
    found = weights_of(of, of.spec.regions[0], ("/srv/models",))
    assert found.refusal is not None
    assert found.volumes == ()


def test_a_host_path_must_be_allowed(resource: Resources) -> None:
    of = resource(cache={"weights": {"type": "HostPath", "path": "/srv/other"}})
    refusal = weights_of(of, of.spec.regions[0], ("/srv/models",)).refusal
    assert refusal is not None
    assert refusal[0] == "HostPathForbidden"
    assert (
        "cache.weights.path /srv/other is not below a host path that the installation allows (/srv/models)"
        in refusal[1]
    )


def test_claims_of_users_are_neither_made_nor_cleaned(resource: Resources) -> None:
    own = resource(cache=CLAIM)
    users = resource(cache={"weights": {"type": "PersistentVolumeClaim", "claimName": "shared"}})
    made, given = (weights_of(each, each.spec.regions[0], ()).claim for each in (own, users))
    assert made is not None
    assert made.spec is not None
    assert made.spec["storageClassName"] == "fast"
    assert "--evict" in made.download.arguments
    assert given is not None
    assert (given.name, given.spec) == ("shared", None)
    assert "--evict" not in given.download.arguments
