"""An HTTP/1.1 client for one POST per connection, as each new user opens one; the body is passed on as it arrives.

Knows: HTTP/1.1, with the server's own parser: the client must not be the slower side of the measurement.
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
_MAX_ERROR_BYTES: Final = 65536  # of an error body; the rest is dropped


class RequestError(Exception):
    """A request without a complete response; the message is a short kind, since errors are counted by it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The URL that requests are sent to, and their common headers."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, url: str, path: str, api_key: str | None) -> Target:
        """Return the target of a base URL, with or without /v1.

        Raises:
            ValueError: `url` is no http(s) URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of the form http://host:port or https://host")
        is_tls = parts.scheme == "https"
        base = parts.path.rstrip("/").removesuffix("/v1")
        authorization = () if api_key is None else (("Authorization", f"Bearer {api_key}"),)
        # No compression: the bytes of a body are mapped to seconds of audio.
        return cls(
            parts.hostname,
            parts.port or (443 if is_tls else 80),
            base + path,
            ssl.create_default_context() if is_tls else None,
            (("Host", parts.netloc.rpartition("@")[2]), ("Accept-Encoding", "identity"), *authorization),
        )

    def request(self, body: bytes) -> bytes:
        """Return the bytes of one POST."""
        length = ("Content-Length", str(len(body)))
        headers = (*self.headers, ("Content-Type", "application/json"), length, ("Connection", "close"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Response:
    """Status, headers and the body of an error; the body of a success went to `on_body`."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    error_body: bytes = b""


class _Connection(asyncio.Protocol):
    """One request and its response; `done` resolves when the response or the connection ends."""

    def __init__(self, on_body: Callable[[bytes], None]) -> None:
        self.response = Response()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_body = on_body
        self._parser = httptools.HttpResponseParser(self)
        self._error = bytearray()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(RequestError("no HTTP"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.response.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.response.status == HTTP_OK:
            self._on_body(body)
        elif len(self._error) < _MAX_ERROR_BYTES:
            self._error += body

    def on_message_complete(self) -> None:
        self.response.error_body = bytes(self._error)
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        # RFC 9112, section 6.3: without either header the body ends with the connection.
        names = self.response.headers
        ends_with_connection = "content-length" not in names and "transfer-encoding" not in names
        if exc is None and self.response.status and ends_with_connection:
            self.on_message_complete()
        self._end(RequestError("cut off" if self.response.status else "no response"))

    def _end(self, error: RequestError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


async def post(target: Target, body: bytes, on_body: Callable[[bytes], None]) -> Response:
    """Send a body; `on_body` is called with each piece of a 200 response when it arrives.

    Raises:
        RequestError: there was no complete response.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, connection = await loop.create_connection(
            lambda: _Connection(on_body), target.host, target.port, ssl=target.tls
        )
    except ssl.SSLError as error:
        raise RequestError("TLS refused") from error
    except ConnectionRefusedError as error:
        raise RequestError("connection refused") from error
    except OSError as error:
        raise RequestError(f"no connection: {error.strerror or type(error).__name__}") from error
    transport.write(target.request(body))
    try:
        await connection.done
    finally:
        transport.abort()  # also when the caller timed out: nothing is left to send
    return connection.response
