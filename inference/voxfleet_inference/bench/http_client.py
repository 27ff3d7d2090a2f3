"""One POST whose answer is timed as it arrives, on a connection of its own, as a new listener opens it.

Knows: HTTP/1.1, from the parser that the server itself uses, because a client must not be the slower side.
Does not know: speech, audio or statistics.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httptools

HTTP_OK: Final = 200
_MAX_ERROR_BYTES: Final = 65536


class RequestError(Exception):
    """A request without a complete answer; the message is its kind, short enough to be counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, url: str, path: str, api_key: str | None) -> Target:
        """The target behind a base URL, with or without /v1.

        Raises:
            ValueError: it is no http(s) URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of the form http://host:port or https://host")
        is_safe = parts.scheme == "https"
        base = parts.path.rstrip("/").removesuffix("/v1")
        authorization = () if api_key is None else (("Authorization", f"Bearer {api_key}"),)
        return cls(
            parts.hostname,
            parts.port or (443 if is_safe else 80),
            base + path,
            ssl.create_default_context() if is_safe else None,
            (("Host", parts.netloc.rpartition("@")[2]), ("Accept-Encoding", "identity"), *authorization),
        )

    def request(self, body: bytes) -> bytes:
        """The bytes of one POST."""
        length = ("Content-Length", str(len(body)))
        headers = (*self.headers, ("Content-Type", "application/json"), length, ("Connection", "close"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Answer:
    """What came back, but for the audio, which `hear` was given."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    error_body: bytes = b""


class _Exchange(asyncio.Protocol):
    """One request and its answer; `done` ends with the answer's end or the connection's."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.answer = Answer()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._parser = httptools.HttpResponseParser(self)
        self._error = bytearray()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(RequestError("no HTTP"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.answer.status == HTTP_OK:
            self._hear(body)
        elif len(self._error) < _MAX_ERROR_BYTES:
            self._error += body

    def on_message_complete(self) -> None:
        self.answer.error_body = bytes(self._error)
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        names = self.answer.headers
        ends_with_connection = "content-length" not in names and "transfer-encoding" not in names
        if exc is None and self.answer.status and ends_with_connection:
            self.on_message_complete()
        self._end(RequestError("cut off" if self.answer.status else "no answer"))

    def _end(self, error: RequestError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


async def post(target: Target, body: bytes, hear: Callable[[bytes], None]) -> Answer:
    """Send a body; `hear` gets every piece of a good answer when it arrives.

    Raises:
        RequestError: there was no complete answer.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, exchange = await loop.create_connection(
            lambda: _Exchange(hear), target.host, target.port, ssl=target.tls
        )
    except ssl.SSLError as error:
        raise RequestError("TLS refused") from error
    except ConnectionRefusedError as error:
        raise RequestError("connection refused") from error
    except OSError as error:
        raise RequestError(f"no connection: {error.strerror or type(error).__name__}") from error
    transport.write(target.request(body))
    try:
        await exchange.done
    finally:
        transport.abort()
    return exchange.answer
