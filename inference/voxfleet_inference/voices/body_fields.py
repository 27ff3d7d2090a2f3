"""Reads the fields of a form or of JSON, as uploads of voices and consents come.

Knows: multipart forms within bounds, and that null in JSON is a field left out.
Does not know: which fields there are.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from voxfleet_inference.errors import InvalidFieldError, UnsupportedMediaTypeError

_MAX_FIELDS: Final = 16
_MAX_FIELD_BYTES: Final = 32 * 2**10


async def read_fields(headers: Headers, body: bytes) -> dict[str, Any]:
    """Return the fields of a form or of JSON; files are bytes.

    Raises:
        UnsupportedMediaTypeError: the body is neither.
        InvalidFieldError: it cannot be parsed.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _form(headers, body)
    if media_type == "application/json":
        return _json(body)
    raise UnsupportedMediaTypeError(
        f"a voice is sent as multipart/form-data or application/json; given {media_type or 'no Content-Type'!r}",
        code="unsupported_media_type",
    )


async def _form(headers: Headers, body: bytes) -> dict[str, Any]:
    parser = _InMemoryParser(headers, _once(body), max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError) as error:
        message = getattr(error, "message", None) or f"it cannot be parsed ({type(error).__name__})"
        raise InvalidFieldError(f"the form in the body is invalid: {message}", code="invalid_form") from error
    fields = {name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()}
    await form.close()
    return fields


class _InMemoryParser(MultiPartParser):
    """Keeps files in memory, not on disk: the body is in memory already, within --max-body-bytes."""

    spool_max_size = 2**30


async def _once(body: bytes) -> AsyncGenerator[bytes]:
    yield body
    yield b""


def _json(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidFieldError(f"the body must be a JSON object: {error}", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise InvalidFieldError("the body must be a JSON object", code="invalid_json")
    return {name: value for name, value in fields.items() if value is not None}  # null: as if it were left out
