"""YAML and JSON in the docs: well formed, and what the API server and the chart would take."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from voxfleet_operator.resources import VoxTTSDeploymentSpec

ROOT = Path(__file__).parents[3]
VALUES = Draft202012Validator(json.loads((ROOT / "charts/voxfleet/values.schema.json").read_text()))
CRD = yaml.safe_load((ROOT / "crds/voxfleet.dev_voxttsdeployments.yaml").read_text())
RESOURCE = Draft202012Validator(CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
REGION = {"name": "eu-central"}


@pytest.fixture(scope="module")
def blocks(site: dict[str, ModuleType]) -> list[Any]:
    files = site["markdown_files"]
    pages = [path for path in files.with_linked_files(files.pages_of_repository()) if path.suffix == ".md"]
    return [block for page in pages for block in site["command_blocks"].blocks_of(page)]


def documents(blocks: list[Any]) -> list[tuple[str, Any]]:
    found = [(block.place, yaml.safe_load_all(block.text)) for block in blocks if block.language == "yaml"]
    return [(place, document) for place, several in found for document in several]


def as_spec(document: Any) -> dict[str, Any] | None:
    """The spec that a block shows in whole or in part, made complete by a region; None for something else."""
    if not isinstance(document, dict) or document.get("kind", "VoxTTSDeployment") != "VoxTTSDeployment":
        return None
    spec = document.get("spec", document)
    if not isinstance(spec, dict) or not set(spec) <= set(VoxTTSDeploymentSpec.model_json_schema()["properties"]):
        return None
    return {"regions": [REGION], **spec}


def as_values(document: Any) -> dict[str, Any] | None:
    is_values = isinstance(document, dict) and set(document) <= set(VALUES.schema["properties"])
    return document if is_values else None


def test_every_spec_is_one_that_the_api_server_takes(blocks: list[Any]) -> None:
    specs = [
        (place, spec)
        for place, document in documents(blocks)
        if (spec := as_spec(document)) and not as_values(document)
    ]
    assert len(specs) >= 4
    for place, spec in specs:
        errors = [error.message for error in RESOURCE.iter_errors({"spec": spec})]
        assert errors == [], place
        VoxTTSDeploymentSpec.model_validate(spec)


def test_every_values_file_is_one_that_the_chart_takes(blocks: list[Any]) -> None:
    values = [(place, found) for place, document in documents(blocks) if (found := as_values(document))]
    assert len(values) >= 3
    for place, found in values:
        assert [error.message for error in VALUES.iter_errors(found)] == [], place


def test_json_is_well_formed(blocks: list[Any]) -> None:
    found = [block for block in blocks if block.language == "json"]
    assert len(found) >= 2
    for block in found:
        json.loads(block.text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("spec: {gpu: {count: 0}}", "spec"),
        ("kind: VoxTTSDeployment\nspec: {regions: []}", "spec"),
        ("kind: NodePool\nspec: {}", None),
        ("gateway: {replicas: 2}\ndns: {enabled: false}", "values"),
        ("scrape_configs: []", None),
    ],
)
def test_a_block_is_taken_for_what_it_is(text: str, kind: str | None) -> None:
    document = yaml.safe_load(text)
    assert ("values" if as_values(document) else "spec" if as_spec(document) else None) == kind
