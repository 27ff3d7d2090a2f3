"""The operations of port 6006 and what their bodies have, from a speech server's own OpenAPI document and models.

Knows: OpenAPI documents.
Does not know: what the fields do beyond what the models say; docs/speech-api.md has the prose.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path

from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.api import speech_app
from voxfleet_inference.server.service import make_service
from voxfleet_inference.settings import ServeSettings

from reference.fields import fields_of
from reference.schema_words import Schema, in_code, meaning_of, table, type_of


def http_operations() -> Iterator[str]:
    """Yield a section for each operation."""
    for path, operations in _document()["paths"].items():
        for method, operation in operations.items():
            yield from _operation(f"{method.upper()} {path}", operation)


def http_objects() -> Iterator[str]:
    """Yield a section for each object that operations name."""
    for name, schema in _document()["components"]["schemas"].items():
        yield from (f"### {name}", "", *fields_of(schema), "")


def speech_request() -> list[str]:
    """Return a row for each field of a speech request."""
    return table(("field", "default", "must be"), _request_rows(SpeechRequest.model_json_schema()))


@cache
def _document() -> Schema:
    settings = ServeSettings(model_path=Path("/models/voxcpm"))
    return speech_app(make_service(settings, lambda _failure: None)).openapi()


def _operation(title: str, operation: Schema) -> list[str]:
    lines = [f"## `{title}`", "", operation.get("description", ""), ""]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body, `{media_type}`:", "", *fields_of(content["schema"]), ""]
    return [*lines, *table(("status", "body", "meaning"), _responses(operation["responses"])), ""]


def _responses(responses: Schema) -> Iterator[tuple[str, str, str]]:
    for status, response in responses.items():
        bodies = "<br>".join(
            _body(media_type, each["schema"]) for media_type, each in response.get("content", {}).items()
        )
        yield status, bodies, response["description"] or HTTPStatus(int(status)).phrase


def _body(media_type: str, schema: Schema) -> str:
    return type_of(schema) if "$ref" in schema else f"`{media_type}`"


def _request_rows(schema: Schema) -> Iterator[tuple[str, ...]]:
    for name, field in schema["properties"].items():
        is_required = name in schema["required"]
        default = "" if field.get("default") is None else in_code(field["default"])
        yield f"`{name}`", "**required**" if is_required else default, meaning_of(name, field)
