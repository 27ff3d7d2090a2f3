"""Raw HTTP/1.0 requests against the real server on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

SPEECH = {"model": "voxcpm-1.5", "input": "A sentence of some length.", "response_format": "pcm", "sample_rate": 44100}
PATCH = 7056


def request(method: str, path: str, version: str, fields: dict[str, Any] | None = None) -> bytes:
    body = b"" if fields is None else json.dumps(fields).encode()
    return f"{method} {path} HTTP/{version}\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answer_of(server: Any, sent: bytes) -> tuple[bytes, bytes]:
    """Return the head in small letters, and the body to the connection's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    writer.close()
    return head.lower(), body


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({}, len(SPEECH["input"]) * PATCH * 2),  # type: ignore[arg-type]
        ({"stream": False}, len(SPEECH["input"]) * PATCH * 2),  # type: ignore[arg-type]
        ({"stream_format": "sse"}, None),
        ({"input": ""}, None),
    ],
)
async def test_speech_over_http_1_0_has_no_chunks(server: Any, changes: dict[str, Any], length: int | None) -> None:
    head, body = await answer_of(server, request("POST", "/v1/audio/speech", "1.0", {**SPEECH, **changes}))
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert length is None or len(body) == length
    if "stream_format" in changes:
        assert body.startswith(b"data: {")
        assert b"speech.audio.done" in body[-600:]
    if not changes.get("input", True):
        assert json.loads(body)["error"]["param"] == "input"


async def test_other_paths_over_http_1_0_are_as_ever(server: Any) -> None:
    for method, path in (("GET", "/v1/models"), ("HEAD", "/v1/models"), ("GET", "/"), ("GET", "/nowhere")):
        head, body = await answer_of(server, request(method, path, "1.0"))
        assert b"transfer-encoding" not in head
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(body) == (0 if method == "HEAD" else length)


async def test_http_1_1_keeps_its_chunks(server: Any) -> None:
    sent = request("POST", "/v1/audio/speech", "1.1", SPEECH).replace(b"Host: a", b"Host: a\r\nConnection: close")
    head, body = await answer_of(server, sent)
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")


async def test_a_stream_that_fails_is_reset_so_that_it_does_not_look_complete(server: Any) -> None:
    text = "This sentence is good enough. And this one they refuse to read."
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    server.model.step_seconds = 0.005
    writer.write(request("POST", "/v1/audio/speech", "1.0", {**SPEECH, "input": text, "voice": "random"}))
    async with asyncio.timeout(60):
        assert b" 200 " in await reader.readline()
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()
