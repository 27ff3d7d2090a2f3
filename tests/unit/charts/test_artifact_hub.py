"""The charts' annotations for Artifact Hub: well formed, and true of the CRD and of the API server's schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from voxfleet_operator.resources import VoxTTSDeploymentSpec
from voxfleet_testbed.settings import REPOSITORY

CHARTS = ("voxfleet", "voxfleet-crds")
PREFIX = "artifacthub.io/"
# Artifact Hub's own lists: what its documentation allows for each annotation.
KNOWN = {
    *("alternativeName", "category", "changes", "containsSecurityUpdates", "crds", "crdsExamples", "images", "license"),
    *("links", "maintainers", "operator", "operatorCapabilities", "prerelease", "recommendations", "screenshots"),
    *("signKey",),
}
CAPABILITIES = ("Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot")
CATEGORIES = (
    *("ai-machine-learning", "database", "integration-delivery", "monitoring-logging", "networking", "security"),
    *("storage", "streaming-messaging", "skip-prediction"),
)


def chart(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((REPOSITORY / "charts" / name / "Chart.yaml").read_text()))


def annotations(name: str) -> dict[str, str]:
    found: dict[str, str] = chart(name)["annotations"]
    return {key.removeprefix(PREFIX): value for key, value in found.items() if key.startswith(PREFIX)}


@pytest.mark.parametrize("name", CHARTS)
def test_annotations_are_those_that_artifact_hub_reads(name: str) -> None:
    found = annotations(name)
    assert set(found) <= KNOWN
    assert all(isinstance(value, str) for value in chart(name)["annotations"].values()), "annotations are strings"
    assert found["license"] == "Apache-2.0"
    assert found["category"] in CATEGORIES
    assert found.get("operatorCapabilities", CAPABILITIES[0]) in CAPABILITIES
    assert {found.get(key, "true") for key in ("operator", "prerelease")} <= {"true", "false"}


@pytest.mark.parametrize("name", CHARTS)
def test_the_crd_is_the_one_that_is_installed(name: str) -> None:
    crd = yaml.safe_load((REPOSITORY / "crds/voxfleet.dev_voxttsdeployments.yaml").read_text())
    [listed] = yaml.safe_load(annotations(name)["crds"])
    assert set(listed) == {"kind", "version", "name", "displayName", "description"}
    assert listed["name"] == crd["metadata"]["name"]
    assert listed["kind"] == crd["spec"]["names"]["kind"]
    assert listed["version"] in [version["name"] for version in crd["spec"]["versions"] if version["served"]]
    [example] = yaml.safe_load(annotations(name)["crdsExamples"])
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    Draft202012Validator(schema).validate(example)
    VoxTTSDeploymentSpec.model_validate(example["spec"])


@pytest.mark.parametrize("name", CHARTS)
def test_the_readme_that_a_package_carries_is_true(name: str) -> None:
    folder = REPOSITORY / "charts" / name
    readme = (folder / "README.md").read_text()
    assert f"helm install {name} charts/{name} --namespace voxfleet-system" in readme
    assert "](" not in readme, "a link within the checkout leads nowhere on a page of the package"
    values = yaml.safe_load((folder / "values.yaml").read_text()) or {}
    named = re.findall(r"`((?:[a-z][A-Za-z]*\.)+[a-z][A-Za-z]*)`", re.sub(r"`(values\.|voxtts)[^`]*`", "", readme))
    assert all(reached(values, path.split(".")) for path in named), named
    for each in re.findall(r"<<'EOF'\n(.*?)EOF", readme, re.DOTALL):
        VoxTTSDeploymentSpec.model_validate(yaml.safe_load(each)["spec"])
    assert len(named) > 5 or not values


def reached(values: Any, path: list[str]) -> bool:
    """Whether the chart has a value of this path."""
    return not path or (isinstance(values, dict) and path[0] in values and reached(values[path[0]], path[1:]))


def test_a_version_before_1_0_is_a_prerelease() -> None:
    for name in CHARTS:
        assert (annotations(name)["prerelease"] == "true") == chart(name)["version"].startswith("0.")
