"""One request on a connection of its own, byte by byte, so that it can be wrong.

Knows: HTTP/1.1 as a client writes and reads it, and what a clear refusal looks like.
Does not know: who asks, or why.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

OK = 200
NOT_NOW, WRONG = (429, 503), (400, 404, 405, 413, 415, 422)
PATH = "/v1/audio/speech"
SPEECH = {"model": "voxcpm-1.5", "voice": "default", "response_format": "pcm"}


class ViolationError(Exception):
    """Something that must not happen; the message says what."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A clear no, and when to come back where it says so."""

    status: int
    retry_after_seconds: float | None


@dataclass(slots=True)
class Exchange:
    """A connection with one request on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def read_head(self) -> None:
        """Status and headers."""
        status_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        pairs = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def body(self) -> AsyncIterator[bytes]:
        """Pieces of the body; one that is cut raises IncompleteReadError."""
        if "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")

    async def whole_body(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.body()])

    async def refusal(self, allowed: tuple[int, ...] = NOT_NOW) -> Refusal:
        """The error that came, which must be clear: OpenAI's form, and when to come back where that helps.

        Raises:
            ViolationError: it is not.
        """
        body = await self.whole_body()
        if self.status not in allowed:
            raise ViolationError(f"status {self.status}: {body[:200]!r}")
        try:
            message = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError) as error:
            raise ViolationError(f"{self.status} not in OpenAI's form: {body[:200]!r}") from error
        if self.status not in NOT_NOW:
            return Refusal(self.status, None)
        if "retry-after" not in self.headers:
            raise ViolationError(f"{self.status} without Retry-After: {message}")
        return Refusal(self.status, float(self.headers["retry-after"]))


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Exchange]:
    """A fresh connection, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Exchange(reader, writer)
    finally:
        writer.transport.abort()


def speech_request(fields: dict[str, Any]) -> bytes:
    """The bytes of a speech request."""
    return http_request("POST", PATH, json.dumps(SPEECH | fields).encode())


def http_request(method: str, path: str, body: bytes) -> bytes:
    """The bytes of any request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
