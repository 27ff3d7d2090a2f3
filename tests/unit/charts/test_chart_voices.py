"""Where the gateways of a chart keep voices: a folder or a volume each, or one volume for all."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
Template = Callable[..., subprocess.CompletedProcess[str]]


def gateways(manifests: list[Manifest]) -> dict[str, Manifest]:
    kinds = {"Deployment", "StatefulSet"}
    return {
        each["metadata"]["name"]: each
        for each in manifests
        if each["kind"] in kinds and each["metadata"]["name"].startswith("voxfleet-gateway")
    }


def voices(**values: Any) -> Manifest:
    return {"gateway": {"voices": values}}


def volumes(workload: Manifest) -> Manifest:
    return {each["name"]: each for each in workload["spec"]["template"]["spec"]["volumes"]}


def mounts(workload: Manifest) -> set[str]:
    return {each["name"] for each in workload["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}


def test_without_persistence_each_gateway_has_a_folder_of_its_own(render: Render) -> None:
    manifests = render()
    (gateway,) = gateways(manifests).values()
    assert gateway["kind"] == "Deployment"
    assert volumes(gateway)["voices"] == {"name": "voices", "emptyDir": {"sizeLimit": "5Gi"}}
    assert not [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_with_persistence_each_gateway_of_each_region_has_a_claim_of_its_own(render: Render, mode: str) -> None:
    asked = {"enabled": True, "accessMode": mode, "size": "20Gi", "storageClassName": "fast"}
    values = voices(persistence=asked)
    values["gateway"]["regions"] = [{"name": "eu"}, {"name": "us", "replicas": 3}]
    manifests = render(values)
    found = gateways(manifests)
    assert found.keys() == {"voxfleet-gateway-eu", "voxfleet-gateway-us"}
    for name, gateway in found.items():
        assert gateway["kind"] == "StatefulSet", name
        spec = gateway["spec"]
        assert "strategy" not in spec
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["metadata"]["name"] == "voices"
        assert claim["spec"] == {
            "accessModes": [mode], "resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast",
        }  # fmt: skip
        assert "voices" not in volumes(gateway)
        assert "voices" in mounts(gateway)
        # Copies survive an uninstall and a scale-down: what is deleted with a release cannot be undone.
        assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        # All at once after an outage; otherwise the first waits for the second to have voices it lost.
        assert spec["podManagementPolicy"] == "Parallel"
        services = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "Service"}
        assert services[spec["serviceName"]]["spec"]["clusterIP"] == "None"
    assert [each["spec"]["replicas"] for each in found.values()] == [2, 3]


def test_a_claim_that_many_may_mount_is_one_for_all_and_outlives_the_release(render: Render) -> None:
    manifests = render(voices(persistence={"enabled": True, "accessMode": "ReadWriteMany"}))
    (claim,) = [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]
    (gateway,) = gateways(manifests).values()
    assert (gateway["kind"], gateway["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]) == ("Deployment", 0)
    assert volumes(gateway)["voices"]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert claim["spec"] == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}}
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_claim_of_the_users_own_is_mounted_by_all(render: Render) -> None:
    manifests = render(voices(persistence={"enabled": True, "existingClaim": "mine"}))
    (gateway,) = gateways(manifests).values()
    assert gateway["kind"] == "Deployment"
    assert volumes(gateway)["voices"]["persistentVolumeClaim"] == {"claimName": "mine"}
    assert not [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]


def test_without_voices_there_is_no_volume(render: Render) -> None:
    (gateway,) = gateways(render(voices(enabled=False))).values()
    assert "voices" not in volumes(gateway)
    assert "voices" not in mounts(gateway)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"persistence": {"existingClaim": "mine"}}, "set both"),
        ({"enabled": False, "persistence": {"enabled": True}}, "without gateway.voices.enabled=true"),
        ({"persistence": {"accessMode": "ReadOnlyMany"}}, "/gateway/voices/persistence/accessMode"),
        ({"persistence": {"size": "5 GB"}}, "/gateway/voices/persistence/size"),
        ({"persistence": {"size": "0Gi"}}, "/gateway/voices/persistence/size"),
        ({"persistence": {"storageClassName": "A b"}}, "/gateway/voices/persistence/storageClassName"),
        ({"existingClaim": "mine"}, "'existingClaim' not allowed"),
    ],
)
def test_what_does_not_fit_together_is_rejected_by_name(template: Template, values: Manifest, message: str) -> None:
    refused = template(voices(**values))
    assert refused.returncode != 0
    assert message in refused.stderr
