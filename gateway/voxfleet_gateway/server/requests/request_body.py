"""Reads the body of a request within bounds: of one body, and of all bodies that this process holds.

Knows: declared lengths, which are checked before a byte is read and before `100 Continue`; codings, which are refused;
that a body's bytes count until its request ends. Does not know: what the bytes mean (speech_request.py).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from voxfleet_gateway.decisions.caller import SMALL_BODY_BYTES
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import (
    bodies_full,
    body_encoded,
    body_too_large,
    body_too_slow,
    unknown_expectation,
)

BODY_SECONDS = 30.0  # 16 MiB at 5 Mbit/s; a slower client is refused with 408
UPLOAD_SHARE = 0.75  # of the process's bytes: bodies with recordings leave the rest to small ones


@dataclass(slots=True)
class BodyBudget:
    """Bytes of request bodies that this process holds at the moment, and their limit."""

    limit_bytes: int
    used_bytes: int = 0

    @contextmanager
    def reserve(self) -> Iterator["Reservation"]:
        """Yield a reservation, empty at first; the end of the context returns its bytes."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.used_bytes -= reservation.taken_bytes


@dataclass(slots=True)
class Reservation:
    """The bytes of one body."""

    budget: BodyBudget
    taken_bytes: int = 0

    def grow(self, count: int) -> None:
        """Take more bytes. Raises RequestRefusedError (503) beyond the process's limit."""
        after, limit = self.taken_bytes + count, self.budget.limit_bytes
        allowed = limit if after <= SMALL_BODY_BYTES else int(limit * UPLOAD_SHARE)
        if self.budget.used_bytes + count > allowed:
            raise RequestRefusedError(bodies_full(allowed))
        self.budget.used_bytes += count
        self.taken_bytes = after

    def shrink(self, count: int) -> None:
        """Return bytes before the context ends."""
        self.budget.used_bytes -= count
        self.taken_bytes -= count


async def read_body(request: web.Request, reservation: Reservation, max_bytes: int) -> bytes:
    """Return the body. Raises RequestRefusedError: 413, 415, 417, 408, or 503 when the process holds too many bytes."""
    await begin_body(request, max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                if len(body) + len(chunk) > max_bytes:
                    raise RequestRefusedError(body_too_large(max_bytes))
                reservation.grow(len(chunk))
                body += chunk
    except TimeoutError as error:
        raise RequestRefusedError(body_too_slow(BODY_SECONDS)) from error
    return bytes(body)


async def begin_body(request: web.Request, max_bytes: int) -> None:
    """Check what the head says about the body, then let the client send it. Raises RequestRefusedError."""
    _check_head(request, max_bytes)
    await _send_continue(request)


def _check_head(request: web.Request, max_bytes: int) -> None:
    """Refuse what the head alone shows to be too large or encoded."""
    codings = {each.strip().lower() for each in ",".join(request.headers.getall("Content-Encoding", [])).split(",")}
    if codings - {"", "identity"}:
        raise RequestRefusedError(body_encoded(", ".join(sorted(codings))))
    if (request.content_length or 0) > max_bytes:
        raise RequestRefusedError(body_too_large(max_bytes))


async def _send_continue(request: web.Request) -> None:
    expected = request.headers.get("Expect", "").strip().lower()
    if expected not in {"", "100-continue"}:
        raise RequestRefusedError(unknown_expectation())
    if expected and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response itself has not begun


async def continue_later(_request: web.Request) -> None:
    """Replace aiohttp's own handler of `Expect`, which sends 100 before the length and the caller are checked."""
