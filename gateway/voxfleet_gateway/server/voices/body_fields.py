"""Reads the fields of a form or of JSON, as uploads of voices and consents come, within bounds.

Knows: multipart forms, read as they arrive, and that null in JSON is a field left out. Does not know: which fields
there are.
"""

import asyncio
from typing import Any

from aiohttp import BodyPartReader, web
from voxfleet_protocols.voice_upload import MAX_RECORDING_BYTES

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import bad_request, body_too_large, body_too_slow, unsupported_media_type
from voxfleet_gateway.server.requests.request_body import Reservation, begin_body, read_body
from voxfleet_gateway.server.requests.speech_request import parse_object

UPLOAD_SECONDS = 60.0
MAX_PARTS = 16
MAX_FIELD_BYTES = 32 * 2**10
CHUNK_BYTES = 64 * 2**10


async def read_fields(request: web.Request, reservation: Reservation, max_bytes: int) -> dict[str, Any]:
    """Return the fields; files are bytes. Raises RequestRefusedError: 400, 408, 413, 415, 503."""
    if request.content_type == "multipart/form-data":
        return await _form(request, reservation, max_bytes)
    if request.content_type == "application/json":
        given = parse_object(await read_body(request, reservation, max_bytes))
        return {name: value for name, value in given.items() if value is not None}  # null: as if it were left out
    raise RequestRefusedError(unsupported_media_type(request.headers.get("Content-Type", "")))


async def _form(request: web.Request, reservation: Reservation, max_bytes: int) -> dict[str, Any]:
    """Read the parts as they arrive; each is kept once, and counted."""
    await begin_body(request, max_bytes)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await _parts(request, reservation, max_bytes)
    except TimeoutError as error:
        raise RequestRefusedError(body_too_slow(UPLOAD_SECONDS)) from error
    except (ValueError, AssertionError, RuntimeError, LookupError) as error:  # by aiohttp's reader, or undecodable text
        reason = str(error) or type(error).__name__
        raise RequestRefusedError(
            bad_request(f"The form is not valid: {reason:.200}.", None, "invalid_form")
        ) from error


async def _parts(request: web.Request, reservation: Reservation, max_bytes: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    reader = await request.multipart()
    for _ in range(MAX_PARTS + 1):
        part = await reader.next()
        if part is None:
            return fields
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ValueError("a part has no name, or parts of its own")
        is_file = part.filename is not None
        left = max_bytes - reservation.taken_bytes
        data = await _part(part, reservation, min(left, MAX_RECORDING_BYTES if is_file else MAX_FIELD_BYTES))
        fields[part.name] = data if is_file else data.decode()
    raise ValueError(f"it has more than {MAX_PARTS} parts")


async def _part(part: BodyPartReader, reservation: Reservation, max_bytes: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        if len(data) + len(chunk) > max_bytes:
            raise RequestRefusedError(body_too_large(max_bytes))
        reservation.grow(len(chunk))
        data += chunk
    return bytes(data)
