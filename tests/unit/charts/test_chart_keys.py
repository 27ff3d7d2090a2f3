"""Keys and tenants of the chart: mounted so that changes arrive, and read by the gateway's own code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from voxfleet_gateway.decisions.accounts.limits import Limits, parse_tenants
from voxfleet_testbed.settings import REPOSITORY

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

KEYS = {"gateway": {"keys": {"existingSecret": "voxfleet-keys"}}}
ROW = {"name": "acme", "requestsPerSecond": 0.5, "burst": 2, "concurrentRequests": 3, "audioSecondsPerMinute": 60}
ROW |= {"wakesPerHour": 0, "priority": -3}
TENANTS = {"gateway": {"tenants": [ROW, {"name": "*", "requestsPerSecond": 1_000_000}]}}


def gateway(manifests: list[Manifest]) -> Manifest:
    (found,) = (
        manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] == "voxfleet-gateway"
    )
    return dict(found)


def settings(pod: Manifest) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}


def mounted(pod: Manifest, folder: str) -> Manifest:
    """The volume at a folder, without the mount's name."""
    (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if folder.startswith(each["mountPath"]))
    assert "subPath" not in mount, "the kubelet does not update it"
    assert mount["readOnly"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    return {name: value for name, value in volume.items() if name != "name"}


def test_by_default_no_key_is_needed_and_no_tenant_has_limits(render: Render) -> None:
    pod = gateway(render())
    assert not {"VOXFLEET_KEYS_FOLDER", "VOXFLEET_TENANTS_FILE"} & {*settings(pod)}
    assert not {"keys", "tenants"} & {volume["name"] for volume in pod["volumes"]}


def test_the_secret_is_mounted_and_may_be_made_later(render: Render) -> None:
    pod = gateway(render(KEYS))
    volume = mounted(pod, settings(pod)["VOXFLEET_KEYS_FOLDER"])
    assert volume == {"secret": {"secretName": "voxfleet-keys", "optional": True}}


def test_the_gateway_reads_the_limits_that_the_chart_writes(render: Render) -> None:
    manifests = render(TENANTS)
    pod = gateway(manifests)
    assert mounted(pod, settings(pod)["VOXFLEET_TENANTS_FILE"]) == {"configMap": {"name": "voxfleet-tenants"}}
    (data,) = (each["data"] for each in manifests if each["kind"] == "ConfigMap")
    tenants = parse_tenants(data["tenants.json"])
    assert tenants["acme"] == Limits(
        requests_per_second=0.5, burst=2, concurrent_requests=3, audio_seconds_per_minute=60, wakes_per_hour=0,
        priority=-3,
    )  # fmt: skip
    assert tenants["*"] == Limits(requests_per_second=1_000_000)


@pytest.mark.parametrize("values", [KEYS, TENANTS])
def test_no_right_on_secrets_is_needed(render: Render, values: Manifest) -> None:
    rules = [rule for each in render(values) if each["kind"] in {"Role", "ClusterRole"} for rule in each["rules"]]
    assert not [rule for rule in rules if "secrets" in rule["resources"]]


def test_the_values_of_the_how_to_are_valid(template: Callable[..., Any], render: Render) -> None:
    page = (REPOSITORY / "docs" / "keys-and-tenants.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (config_map,) = (each for each in render(yaml.safe_load(block)) if each["kind"] == "ConfigMap")
    assert {*parse_tenants(config_map["data"]["tenants.json"])} == {"acme", "*"}
    (flag,) = re.findall(r"--set gateway\.keys\.existingSecret=(\S+)", page)
    assert template({"gateway": {"keys": {"existingSecret": flag}}}).returncode == 0
