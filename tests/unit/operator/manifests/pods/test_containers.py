"""The containers of a pod: flags, probes and environment of the server, and the fetcher beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voxfleet_operator.manifests.pods.containers import internal_token_sha256
from voxfleet_operator.resources import Resource, Serving

Resources = Callable[..., Resource]
Pods = Callable[[Resource], dict[str, Any]]


def flags(pod: Pods, of: Resource) -> dict[str, str]:
    arguments = pod(of)["containers"][0]["args"]
    return dict(zip(arguments[1::2], arguments[2::2], strict=True))


def test_a_long_load_is_not_killed_by_probes(resource: Resources, pod: Pods) -> None:
    server = pod(resource())["containers"][0]
    assert server["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert server["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert server["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_the_pod_gets_the_hash_of_its_token_only(resource: Resources, pod: Pods) -> None:
    digest = flags(pod, resource())["--internal-token-sha256"]
    assert digest == internal_token_sha256("key", "default", "narrator")
    assert digest != internal_token_sha256("key", "default", "other")


def test_the_voice_source_is_a_flag_only_where_there_is_one(
    resource: Resources, pod: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--voice-source" not in flags(pod, resource())
    monkeypatch.setattr(pod, "__kwdefaults__", {"voice_source": "http://voices:9091"})
    assert flags(pod, resource())["--voice-source"] == "http://voices:9091"


@pytest.mark.parametrize(("cpu", "threads"), [("100m", "1"), (2, "2"), ("1500m", "2")])
def test_threads_follow_the_requested_cpus(cpu: str | int, threads: str, resource: Resources, pod: Pods) -> None:
    of = resource(gpu={"count": 0}, resources={"requests": {"cpu": cpu}})
    assert {"name": "VOXFLEET_CPU_THREADS", "value": threads} in pod(of)["containers"][0]["env"]
    mine = {"env": [{"name": "VOXFLEET_CPU_THREADS", "value": "7"}]}
    of = resource(gpu={"count": 0}, resources={"requests": {"cpu": cpu}}, podTemplate=mine)
    assert [entry["value"] for entry in pod(of)["containers"][0]["env"]] == ["/home/voxfleet", "7"]


def test_every_field_of_serving_is_a_flag_and_every_flag_is_documented(resource: Resources, pod: Pods) -> None:
    given = flags(pod, resource(serving={"maxBatchSize": 7}))
    assert given["--max-batch-size"] == "7"
    assert {f"--{name.replace('_', '-')}" for name in Serving.model_fields} <= set(given)
    docs = "".join(path.read_text() for path in (Path(__file__).parents[5] / "docs").rglob("*.md"))
    assert [flag for flag in given if f"`{flag}`" not in docs] == []


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
