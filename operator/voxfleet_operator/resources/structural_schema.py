"""Converts a pydantic model's JSON schema into the structural schema that a CustomResourceDefinition needs.

Knows both dialects: `$ref` is inlined, `anyOf [X, null]` becomes X, titles are dropped, and a nested object whose
fields all have defaults gets them as its own default, so that the API server fills them in. Does not know any field of
the resource.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# `const` of a one-value Literal stands beside its enum; structural schemas have no such key.
DROPPED = ("title", "discriminator", "$defs", "const")
REF_PREFIX = "#/$defs/"


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural OpenAPI v3 schema of a model. Raises ValueError for a list without max_length."""
    written = model.model_json_schema(by_alias=True)
    return _structural(written, written.get("$defs", {}))


def _structural(schema: Schema, definitions: Schema) -> Schema:
    schema = _inlined(schema, definitions)
    if "x-kubernetes-int-or-string" in schema:
        return {key: value for key, value in schema.items() if key not in (*DROPPED, "type")}
    kept = {key: value for key, value in schema.items() if key not in DROPPED}
    # A schema may either preserve unknown fields or describe additional ones.
    if kept.get("x-kubernetes-preserve-unknown-fields"):
        kept.pop("additionalProperties", None)
    if "properties" in kept:
        required = kept.get("required", [])
        kept["properties"] = {
            name: _with_own_default(_structural(child, definitions), optional=name in required or _nullable(child))
            for name, child in kept["properties"].items()
        }
    for inner in ("items", "additionalProperties"):
        if isinstance(kept.get(inner), dict):
            kept[inner] = _structural(kept[inner], definitions)
    return _with_bounds(kept)


def _inlined(schema: Schema, definitions: Schema) -> Schema:
    """Follow a reference and take the non-null branch; keys beside them override those of the target."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "default")}
    # Its anyOf is the one that Kubernetes asks for.
    if "x-kubernetes-int-or-string" in schema:
        return schema
    if "anyOf" in schema:
        branch = next(option for option in schema["anyOf"] if option.get("type") != "null")
        return _inlined(branch, definitions) | beside | _default(schema)
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix(REF_PREFIX)]
        return _inlined(target, definitions) | beside | _default(schema)
    return schema if schema.get("default", 0) is not None else beside


def _default(schema: Schema) -> Schema:
    default = schema.get("default")
    return {} if default is None else {"default": default}


def _nullable(schema: Schema) -> bool:
    return any(option.get("type") == "null" for option in schema.get("anyOf", []))


def _with_own_default(schema: Schema, *, optional: bool) -> Schema:
    """Give a list the default [], and an object its fields' defaults.

    Without a default on the object itself the API server does not descend into an absent one, and rules that read
    its fields would fail.
    """
    if optional:
        return schema
    if schema.get("type") == "array":
        return {"default": []} | schema
    if schema.get("type") != "object" or "properties" not in schema or schema.get("required"):
        return schema
    children = schema["properties"].items()
    return schema | {"default": {name: child["default"] for name, child in children if "default" in child}}


def _with_bounds(schema: Schema) -> Schema:
    """Check that a list has maxItems: without it CEL rules exceed their cost budget. Maps get it from pydantic."""
    if schema.get("type") == "array" and "maxItems" not in schema:
        raise ValueError(f"a list without max_length cannot be in the resource: {schema.get('description', schema)}")
    return schema
