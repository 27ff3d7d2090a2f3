"""Turns a pydantic model's JSON schema into the structural schema that Kubernetes takes.

Knows both dialects: `$ref` is inlined, `anyOf [X, null]` becomes X, titles go, a nested object whose fields all have
defaults gets them as its own default, so that the API server fills them in. Does not know any field of the resource.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

DROPPED = ("title", "discriminator", "$defs", "const")
REF_PREFIX = "#/$defs/"


def structural_schema(model: type[BaseModel]) -> Schema:
    """The OpenAPI v3 schema of a model, as a CustomResourceDefinition wants it."""
    written = model.model_json_schema(by_alias=True)
    return _structural(written, written.get("$defs", {}))


def _structural(schema: Schema, definitions: Schema) -> Schema:
    schema = _inlined(schema, definitions)
    if "x-kubernetes-int-or-string" in schema:
        return {key: value for key, value in schema.items() if key not in (*DROPPED, "type")}
    kept = {key: value for key, value in schema.items() if key not in DROPPED}
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
    return _with_bounds_of_maps(kept)


def _inlined(schema: Schema, definitions: Schema) -> Schema:
    """Follows a reference and takes the non-null branch; what stands beside them wins."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "default")}
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
    """A list gets [], an object its fields' defaults: else the API server does not descend and rules see no value."""
    if optional:
        return schema
    if schema.get("type") == "array":
        return {"default": []} | schema
    if schema.get("type") != "object" or "properties" not in schema or schema.get("required"):
        return schema
    children = schema["properties"].items()
    return schema | {"default": {name: child["default"] for name, child in children if "default" in child}}


def _with_bounds_of_maps(schema: Schema) -> Schema:
    """Pydantic bounds a map by maxProperties already; a list without a bound would make CEL rules too dear."""
    if schema.get("type") == "array" and "maxItems" not in schema:
        raise ValueError(f"a list without max_length cannot be in the resource: {schema.get('description', schema)}")
    return schema
