"""crds/ is generated from the models; every list and string is bounded; every field is described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from voxfleet_operator.resources import definition_yaml

CRD = Path(__file__).parents[4] / "crds" / "voxfleet.dev_voxttsdeployments.yaml"


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from schemas(schema[inner], f"{path}[]")


def root() -> dict[str, Any]:
    version = yaml.safe_load(definition_yaml())["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def spec_and_status() -> list[tuple[str, dict[str, Any]]]:
    properties = root()["properties"]
    return [*schemas(properties["spec"], "spec"), *schemas(properties["status"], "status")]


def test_the_file_is_generated_from_the_models() -> None:
    assert CRD.read_text() == definition_yaml(), "stale: run `make crds`"


def test_every_string_and_list_is_bounded() -> None:
    unbounded = [
        path
        for path, schema in spec_and_status()
        if (schema.get("type") == "string" and "maxLength" not in schema and "enum" not in schema)
        or (schema.get("type") == "array" and "maxItems" not in schema)
        or ("additionalProperties" in schema and "maxProperties" not in schema)
    ]
    assert unbounded == []


def test_the_schema_is_structural() -> None:
    for path, schema in spec_and_status():
        assert "$ref" not in schema, path
        assert "title" not in schema, path
        is_quantity = schema.get("x-kubernetes-int-or-string")
        assert "anyOf" not in schema or is_quantity, path
        assert "type" in schema or is_quantity, path


def test_lists_say_how_they_merge() -> None:
    silent = [path for path, s in spec_and_status() if s.get("type") == "array" and "x-kubernetes-list-type" not in s]
    assert silent == []


def test_every_property_is_described_for_kubectl_explain() -> None:
    properties = root()["properties"]
    for top in ("spec", "status"):
        bare = [
            f"{path}.{name}"
            for path, schema in schemas(properties[top], top)
            for name, child in schema.get("properties", {}).items()
            if not child.get("description")
        ]
        assert bare == []


def test_every_rule_says_what_would_be_right() -> None:
    rules = [rule for _, schema in spec_and_status() for rule in schema.get("x-kubernetes-validations", [])]
    assert len(rules) > 20
    assert [rule["rule"] for rule in rules if len(rule["message"]) < 20] == []


def test_columns() -> None:
    version = yaml.safe_load(definition_yaml())["spec"]["versions"][0]
    columns = [(column["name"].upper(), column.get("priority", 0)) for column in version["additionalPrinterColumns"]]
    assert columns == [("READY", 0), ("AWAKE", 0), ("REPLICAS", 0), ("MODEL", 0), ("AGE", 0), ("MESSAGE", 1)]
