"""One request on its own connection, as bytes, so that a client can send malformed ones.

Knows: HTTP/1.1 on the client's side, and the form of a valid rejection. Does not know: the kinds of clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

OK = 200
RETRYABLE, WRONG = (429, 503), (400, 404, 405, 413, 415, 422)
PATH = "/v1/audio/speech"
SPEECH = {"model": "voxcpm-1.5", "voice": "default", "response_format": "pcm"}


class ViolationError(Exception):
    """The server violated what a client may expect; the message has the observation."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A valid error response."""

    status: int
    retry_after_seconds: float | None  # None: a retry does not help


@dataclass(slots=True)
class Exchange:
    """A connection for one request; `status` and `headers` are set by `read_head`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def read_head(self) -> None:
        """Read the status line and the headers.

        Raises:
            IncompleteReadError: the server closed the connection before their end.
        """
        status_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        pairs = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body's chunks.

        Raises:
            IncompleteReadError: the body is truncated.
        """
        if "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")

    async def whole_body(self) -> bytes:
        """Read the body to its end."""
        return b"".join([piece async for piece in self.body()])

    async def rejection(self, allowed: tuple[int, ...] = RETRYABLE) -> Rejection:
        """Read an error response, which must have OpenAI's form, and Retry-After where a retry helps.

        Raises:
            ViolationError: the status is not allowed, the form is another, or Retry-After is missing.
        """
        body = await self.whole_body()
        if self.status not in allowed:
            raise ViolationError(f"status {self.status}: {body[:200]!r}")
        try:
            message = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError) as error:
            raise ViolationError(f"{self.status} not in OpenAI's form: {body[:200]!r}") from error
        if self.status not in RETRYABLE:
            return Rejection(self.status, None)
        if "retry-after" not in self.headers:
            raise ViolationError(f"{self.status} without Retry-After: {message}")
        return Rejection(self.status, float(self.headers["retry-after"]))


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Exchange]:
    """Open a connection for the block; it is aborted at the end, without waiting for unread data."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Exchange(reader, writer)
    finally:
        writer.transport.abort()


def speech_request(fields: dict[str, Any]) -> bytes:
    """Return the bytes of a speech request; `fields` replace those of SPEECH."""
    return http_request("POST", PATH, json.dumps(SPEECH | fields).encode())


def http_request(method: str, path: str, body: bytes) -> bytes:
    """Return the bytes of an HTTP request with a JSON content type."""
    head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
