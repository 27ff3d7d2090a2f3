"""Every resource in examples/ and in the docs is one that the API server accepts, and the docs' manifests are YAML."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from voxfleet_operator.manifests.pods.capacity_labels import CAPACITY_LABELS, GPU_TAINTS, CapacityLabel
from voxfleet_operator.names import PROTECTION
from voxfleet_operator.resources import VoxTTSDeploymentSpec, definition_yaml

ROOT = Path(__file__).parents[4]
# The DNS engine's zone file is no resource; tests/unit/gateway/dns reads it.
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if path.name != "dns-zone.yaml")
PAGE = ROOT / "docs" / "spot-and-autoscalers.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def manifests_of_the_page() -> list[dict[str, Any]]:
    return [document for block in BLOCK.findall(PAGE.read_text()) for document in documents(block)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_the_schema_and_has_no_unknown_field(path: Path) -> None:
    schema = yaml.safe_load(definition_yaml())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for manifest in documents(path.read_text()):
        Draft202012Validator(schema).validate(manifest)
        VoxTTSDeploymentSpec.model_validate(manifest["spec"])


def test_each_spec_of_the_page_on_ways_in_fits_the_schema() -> None:
    schema = yaml.safe_load(definition_yaml())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    blocks = [yaml.safe_load(block) for block in BLOCK.findall((ROOT / "docs" / "ways-in.md").read_text())]
    asked = [block["spec"] for block in blocks if "kind" not in block]  # the others are of other definitions
    assert {field for spec in asked for field in spec} == {"ingress", "route", "notebook"}
    for spec in asked:
        body = {"metadata": {"name": "narrator"}, "spec": {"regions": [{"name": "eu"}], **spec}}
        Draft202012Validator(schema).validate(body)
        parsed = VoxTTSDeploymentSpec.model_validate(body["spec"])
        for field, written in spec.items():
            kept = getattr(parsed, field).model_dump(by_alias=True, exclude_none=True)
            assert written.keys() <= kept.keys(), "an unknown field would be dropped in silence"


def test_the_page_has_a_spot_and_an_on_demand_pool_for_karpenter() -> None:
    pools = [each for each in manifests_of_the_page() if each["kind"] == "NodePool"]
    types = [
        requirement["values"]
        for pool in pools
        for requirement in pool["spec"]["template"]["spec"]["requirements"]
        if requirement["key"] == "karpenter.sh/capacity-type"
    ]
    assert types == [["spot"], ["on-demand"]]


def test_every_manifest_of_the_page_names_its_kind() -> None:
    assert all({"apiVersion", "kind", "metadata"} <= set(manifest) for manifest in manifests_of_the_page())


@pytest.mark.parametrize("label", CAPACITY_LABELS, ids=lambda label: label.key)
def test_the_page_has_every_label_by_which_spot_nodes_are_known(label: CapacityLabel) -> None:
    text = PAGE.read_text()
    assert label.key in text
    assert all(value in text for value in label.spot_values)


def test_the_page_has_what_is_written_on_pods() -> None:
    text = PAGE.read_text()
    assert all(f'{key}: "{value}"' in text for key, value in PROTECTION.items())


def test_the_page_has_every_tolerated_taint_of_gpu_nodes() -> None:
    assert all(taint.key in PAGE.read_text() for taint in GPU_TAINTS)
