"""The values of the chart: type, default and meaning, from values.schema.json and values.yaml.

Knows: JSON schemas with definitions; that a value's meaning is its description in the schema.
Does not know: what templates do with a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import yaml
from markdown_files import ROOT

from reference.schema_words import Schema, bounds_of, meaning_of, table, type_of

_CHART: Final = ROOT / "charts/voxfleet"
_UNBROKEN: Final = 10_000  # columns: a default is one line


def chart_values() -> list[str]:
    """Return a row for each value."""
    schema = json.loads((_CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((_CHART / "values.yaml").read_text(encoding="utf-8"))
    del schema["properties"]["global"]  # Helm's own, in every chart
    return table(("value", "type and default", "meaning"), _rows(schema, schema["definitions"], defaults))


def _rows(schema: Schema, definitions: Schema, defaults: Any, above: str = "") -> Iterator[tuple[str, ...]]:
    for name, field in _resolved(schema, definitions).get("properties", {}).items():
        found, default = _resolved(field, definitions), defaults[name]
        if _is_described_below(found):
            yield from _rows(found, definitions, default, f"{above}{name}.")
        else:
            kind = ", ".join(filter(None, (type_of(found), bounds_of(found))))
            yield f"`{above}{name}`", f"{kind}<br>default `{_flow(default)}`", meaning_of(f"{above}{name}", found)


def _resolved(field: Schema, definitions: Schema) -> Schema:
    """Return a field, and its items, with what their definitions have; a description of its own takes precedence."""
    if "items" in field:
        field = {**field, "items": _resolved(field["items"], definitions)}
    if "$ref" not in field:
        return field
    used = _resolved(definitions[field["$ref"].rpartition("/")[2]], definitions)
    return {**used, **{name: value for name, value in field.items() if name != "$ref"}}


def _is_described_below(field: Schema) -> bool:
    """Whether the parts of an object are values of their own; else it has Kubernetes' shape, and is one value."""
    return "description" not in field and "properties" in field


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_UNBROKEN)
    return text.removesuffix("...\n").strip()
