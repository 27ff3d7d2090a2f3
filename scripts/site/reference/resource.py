"""Every field of a VoxTTSDeployment, from the CRD that `make crds` generates.

Knows: OpenAPI schemas as CRDs have them.
Does not know: the operator's models, which the CRD is generated from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml
from markdown_files import ROOT

from reference.schema_words import Schema, bounds_of, in_code, table, type_of

_CRD: Final = ROOT / "crds/voxfleet.dev_voxttsdeployments.yaml"
_Row = tuple[str, str, str]


def spec_fields() -> list[str]:
    """Return a section for each field of the spec."""
    return _fields("spec")


def status_fields() -> list[str]:
    """Return a section for each field of the status."""
    return _fields("status")


def _fields(part: str) -> list[str]:
    version = yaml.safe_load(_CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"][part]
    required = schema.get("required", ())
    return [
        line
        for name, field in schema["properties"].items()
        for line in _section(f"{part}.{name}", field, is_required=name in required)
    ]


def _section(path: str, schema: Schema, *, is_required: bool) -> list[str]:
    """Return a field of the top level: what it is, the fields below it, and the rules that span them."""
    lines = [f"### `{path}`", "", schema.get("description", ""), "", f"{_value(schema, is_required=is_required)}.", ""]
    rows = [row for below, under, is_needed in _children(schema) for row in _rows(below, under, is_required=is_needed)]
    if rows:
        lines += [*table((f"field of `{path}`", "value", "meaning"), rows), ""]
    return [*lines, *_rules(path, schema)]


def _rows(path: str, schema: Schema, *, is_required: bool = False) -> Iterator[_Row]:
    yield f"`{path.removeprefix('.')}`", _value(schema, is_required=is_required), schema.get("description", "")
    for below, under, is_needed in _children(schema):
        yield from _rows(path + below, under, is_required=is_needed)


def _value(schema: Schema, *, is_required: bool) -> str:
    """Say type, bounds and default in one cell."""
    kind = ", ".join(filter(None, (type_of(schema), bounds_of(schema))))
    if is_required:
        return f"**required**; {kind}"
    return f"{kind}; default {in_code(schema['default'])}" if "default" in schema else kind


def _children(schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Yield what a path continues with, the schema of each field below, and whether it is required."""
    items = schema.get("items", {})
    if items.get("type") == "object":
        yield from (("[]" + below, under, is_needed) for below, under, is_needed in _children(items))
    required = schema.get("required", ())
    yield from ((f".{name}", under, name in required) for name, under in schema.get("properties", {}).items())
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values.get("type") == "object":
        yield ".*", values, False


def _rules(path: str, schema: Schema) -> list[str]:
    """Return the messages of the rules that span fields, those of single fields left out."""
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if "message" in rule]
    messages += [
        rule["message"] for rule in schema.get("items", {}).get("x-kubernetes-validations", ()) if "message" in rule
    ]
    return [f"`{path}` is refused unless:", "", *(f"- {message}" for message in messages), ""] if messages else []
