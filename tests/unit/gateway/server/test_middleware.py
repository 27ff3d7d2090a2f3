"""Every speech request is counted once, whatever becomes of it."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.telemetry import REQUESTS

MODEL, NONE = ("d", "n", "eu"), ("", "", "")


def counted() -> dict[tuple[str, ...], float]:
    (family,) = REQUESTS.collect()
    names = ("namespace", "name", "region", "code", "route")
    rows = [sample for sample in family.samples if sample.name.endswith("_total")]
    return {tuple(row.labels[name] for name in names): row.value for row in rows}


@pytest.mark.parametrize(
    ("region", "request_", "row"),
    [
        ({"phase": "Failed"}, {}, (*MODEL, "503", "failed")),
        ({"suspended": True}, {}, ("d", "n", "", "503", "suspended")),
        ({"local": False, "settings": {"region": "us"}}, {}, ("d", "n", "", "503", "unreachable")),
        ({"allowed_clients": ("DE",)}, {}, ("d", "n", "", "403", "forbidden")),
        ({}, {"body": b"{"}, (*NONE, "400", "gateway")),
        ({}, {"body": b'{"model":"m"}'}, ("d", "n", "", "400", "gateway")),
        ({}, {"body": b'{"model":"x","input":"hi"}'}, (*NONE, "404", "gateway")),
        ({}, {"extra": b"Origin: https://evil.example\r\n"}, (*NONE, "403", "gateway")),
        ({}, {"extra": b"Content-Encoding: gzip\r\n"}, (*NONE, "415", "gateway")),
    ],
)
async def test_every_refusal_is_counted_once(
    wire: Any, region: dict[str, Any], request_: dict[str, Any], row: tuple[str, ...]
) -> None:
    before = counted()
    async with wire.gateway(**region) as (port, _):
        for _ in range(3):
            await wire.send(port, wire.post(**request_))
        await wire.send(port, b"GET /v1/models HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
    after = counted()
    assert {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)} == {row: 3}


async def test_a_full_hold_queue_is_counted(wire: Any) -> None:
    row = ("d", "n", "eu", "503", "hold-full")
    before = counted().get(row, 0)
    async with wire.gateway(rules={"max_held_requests": 0}) as (port, _):
        await wire.send(port, wire.post())
    assert counted()[row] == before + 1


async def test_a_client_that_leaves_during_its_handshake_has_left(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, row = web.WebSocketResponse.prepare, (*NONE, "499", "gateway")
    before = counted().get(row, 0)

    async def prepare_too_late(self: web.WebSocketResponse, request: web.BaseRequest) -> Any:
        assert request.transport is not None
        request.transport.close()  # as when the client's FIN is read between two steps of the handler
        return await prepare(self, request)

    monkeypatch.setattr(web.WebSocketResponse, "prepare", prepare_too_late)
    async with wire.gateway() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        writer.write(b"GET /v1/audio/speech/stream HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\n")
        writer.write(b"Upgrade: websocket\r\n" + key + b"\r\n")
        await writer.drain()
        assert await reader.read() == b""
    assert counted()[row] == before + 1


async def test_the_404_of_a_wrong_base_url_names_the_path_that_was_meant(wire: Any) -> None:
    async with wire.gateway() as (port, _):
        answer, _ = await wire.send(
            port, b"POST /audio/speech HTTP/1.1\r\nHost: g\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"the path is /v1/audio/speech: check the client's base URL" in answer
