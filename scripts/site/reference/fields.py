"""Fields of messages: a table from the JSON schema of an object.

Knows: how pydantic describes fields.
Does not know: which message has them.
"""

from __future__ import annotations

from reference.schema_words import Schema, in_code, table, type_of


def fields_of(schema: Schema) -> list[str]:
    """Return the table of an object's fields; empty for an object without."""
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", type_of(field), _presence(field, is_required=name in required), _must_be(field))
        for name, field in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "default", "must be"), rows) if rows else []


def sent_fields_of(schema: Schema) -> list[str]:
    """Return the table of the fields of a message that is sent: nothing is required of a client."""
    rows = [(f"`{name}`", type_of(field), field.get("description", "")) for name, field in schema["properties"].items()]
    return table(("field", "type", "meaning"), rows)


def _presence(field: Schema, *, is_required: bool) -> str:
    if is_required:
        return "required"
    return in_code(field["default"]) if field.get("default") not in {None, ""} else ""


def _must_be(field: Schema) -> str:
    return str(field.get("description", "")).removeprefix("It must be ").rstrip(".")
