"""Reads a request's body within a limit.

Knows: content codings, of which none is accepted. Does not know: what the bytes mean.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from voxfleet_inference.errors import BodyTooLargeError, UnsupportedEncodingError

_PLAIN_ENCODINGS: Final = frozenset({"", "identity"})


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body; reject it at the chunk that passes the limit, without reading the rest.

    Raises:
        UnsupportedEncodingError: it is compressed.
        BodyTooLargeError: it is larger than the limit.
    """
    encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding not in _PLAIN_ENCODINGS:
        message = f"the body's Content-Encoding must be identity; given {encoding[:40]!r}: send it uncompressed"
        raise UnsupportedEncodingError(message, code="unsupported_encoding")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > max_bytes:
            raise BodyTooLargeError(f"the body is larger than {max_bytes} bytes", code="body_too_large")
    return bytes(received)
