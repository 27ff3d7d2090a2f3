"""Connections that send no complete request, against the real server on loopback."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from typing import Any

import pytest
from voxfleet_inference.admission.connections import BoundedConnection, allow_many_connections

BODY = json.dumps({"model": "voxcpm-1.5", "input": "Hello.", "response_format": "pcm"}).encode()
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def _few_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[1]), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("_few_files")
def test_the_limit_of_open_files_is_raised_to_the_hard_limit() -> None:
    allow_many_connections()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


async def connected(server: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def everything(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_an_endless_head_gets_431(server: Any) -> None:
    reader, writer = await connected(server)
    writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
    sent = 0
    while sent < 64 * 2**20:
        try:
            writer.write(b"a" * 65536)
            await writer.drain()
        except ConnectionError:
            break
        sent += 65536
        await asyncio.sleep(0)
    assert sent < 64 * 2**20, "the server read it all"
    answer = await everything(reader)
    assert not answer or answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD[:-4]], ids=["nothing", "a line's half", "half a head"])
async def test_a_head_that_never_arrives_gets_408(server: Any, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.2)
    reader, writer = await connected(server)
    writer.write(sent)
    assert (await everything(reader)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_connection_whose_body_stops_is_closed(
    server: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    monkeypatch.setattr(BoundedConnection, "silent_seconds", 0.2)
    reader, writer = await connected(server)
    writer.write(HEAD + BODY[:10])
    await everything(reader)
    writer.close()
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_response_may_take_longer_than_these_timeouts(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.3)
    monkeypatch.setattr(BoundedConnection, "silent_seconds", 0.3)
    server.model.step_seconds = 0.2
    reader, writer = await connected(server)
    for _ in range(2):  # keep-alive, then a second request
        writer.write(HEAD + BODY)
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()


async def test_a_slow_but_steady_body_is_a_request(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "silent_seconds", 3.0)
    reader, writer = await connected(server)
    writer.write(HEAD)
    for position in range(0, len(BODY), 8):
        writer.write(BODY[position : position + 8])
        await writer.drain()
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
