"""HTTP/1.1 connections that are kept open for one request after another, as a proxy in front of a gateway keeps them.

Knows: HTTP/1.1, with httptools, so that the client is not the slower side of a measurement.
Does not know: what is sent, when, and what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import cast

import httptools

OnBody = Callable[[bytes], None]


class RequestError(Exception):
    """A request without a complete response; the message is a short kind, since errors are counted by it."""


class Connection(asyncio.Protocol):
    """One connection, which has one request open at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._done: asyncio.Future[int] | None = None
        self._on_body: OnBody = lambda _data: None

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, on_body: OnBody) -> int:
        """Send a request, pass its body on as it arrives, and return the status. Raises RequestError."""
        if self._transport is None or not self.is_open:
            raise RequestError("closed")
        self._on_body, self._parser = on_body, httptools.HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._done
        finally:
            self._done = None

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("no HTTP")

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on; the parser calls this."""
        self._on_body(body)

    def on_message_complete(self) -> None:
        """End the exchange; the parser calls this."""
        if self._done is None or self._parser is None or self._done.done():
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._done.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the exchange that is under way."""
        self._transport = None
        self._fail("cut off" if exc is None else "reset")

    def _fail(self, kind: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RequestError(kind))


class Pool:
    """Connections to one side's ports; an idle one is used again, a new one goes to the next port in turn."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._idle: list[Connection] = []

    async def exchange(self, request: bytes, on_body: OnBody) -> int:
        """Send a request on an idle connection, or on a new one. Raises RequestError."""
        connection = await self._take()
        status = await connection.exchange(request, on_body)
        self._idle.append(connection)
        return status

    async def open(self, count: int) -> None:
        """Open connections ahead of their first requests."""
        self._idle += [await self._connect() for _ in range(count)]

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _take(self) -> Connection:
        while self._idle:
            if (connection := self._idle.pop()).is_open:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _transport, connection = await loop.create_connection(Connection, "127.0.0.1", next(self._ports))
        except OSError as error:
            raise RequestError(type(error).__name__) from error
        return connection
