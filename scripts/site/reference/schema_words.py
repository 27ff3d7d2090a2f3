"""JSON schemas in words: a field's type, bounds and default, as table cells have them.

Knows: JSON schemas as pydantic and CustomResourceDefinitions write them.
Does not know: which model a schema is of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

Schema = dict[str, Any]
_FORMATS: Final = {"path": "path", "file-path": "path", "password": "secret"}


def type_of(schema: Schema) -> str:
    """Return a type in words; what another object is of is a link to its heading."""
    return _named(schema) or _composed(schema) or _simple(schema)


def _named(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return ", ".join(f"`{value}`" if isinstance(value, str) else in_code(value) for value in values)


def _composed(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(each) for each in schema["anyOf"]))
    if "items" in schema:
        return f"list of {_many(type_of(schema['items']))}"
    values = schema.get("additionalProperties")
    return f"map to {type_of(values)}" if isinstance(values, dict) else ""


def _simple(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else _FORMATS.get(schema.get("format", ""), str(kind))


def _many(kind: str) -> str:
    return "values" if kind == "any" else f"{kind}s" if kind.isalpha() else kind


def bounds_of(schema: Schema) -> str:
    """Return what a value must be beside its type; empty: anything."""
    return ", ".join(filter(None, _bounds(schema)))


def _bounds(schema: Schema) -> Iterator[str]:
    yield f"above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""
    yield f"below {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else ""
    yield _range(schema, "minimum", "maximum", "")
    is_any_length = schema.get("minLength") == 1 and "maxLength" not in schema
    yield "not empty" if is_any_length else _range(schema, "minLength", "maxLength", " characters")
    yield _range(schema, "minItems", "maxItems", " items")
    yield _range(schema, "minProperties", "maxProperties", " keys")
    yield f"`{schema['pattern']}`" if "pattern" in schema else ""
    for each in schema.get("anyOf", ()):
        yield from _bounds(each)


def _range(schema: Schema, least: str, most: str, unit: str) -> str:
    if least in schema and most in schema:
        return f"{schema[least]} to {schema[most]}{unit}"
    if most in schema:
        return f"at most {schema[most]}{unit}"
    return f"at least {schema[least]}{unit}" if least in schema else ""


def meaning_of(name: str, schema: Schema) -> str:
    """Return a description.

    Raises:
        SystemExit: there is none; a reference without a meaning helps no reader.
    """
    if not schema.get("description"):
        raise SystemExit(f"{name} has no description: write one where it is defined")
    return str(schema["description"])


def in_code(value: Any) -> str:
    """Return a value as JSON, in code."""
    return f"`{json.dumps(value)}`"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a Markdown table; cells may have bars and line ends."""
    heads = list(titles)
    body = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *body]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
