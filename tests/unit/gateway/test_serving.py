"""The ports: both IP versions, keep-alive as set, no versions in a header."""

import asyncio
import socket
from typing import Any

import pytest

GET = b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_an_empty_host_listens_on_both_ip_versions(wire: Any) -> None:
    async with wire.gateway(settings={"host": ""}) as (port, _):
        for address in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_an_idle_connection_is_kept_as_long_as_the_setting_says(wire: Any) -> None:
    async with wire.gateway(settings={"keep_alive_seconds": 1}) as (port, _):
        began = asyncio.get_running_loop().time()
        answer, ending = await wire.send(port, GET, wait=10)
        assert asyncio.get_running_loop().time() - began > 0.9
    assert (answer[:12], ending) == (b"HTTP/1.1 200", "EOF")


@pytest.mark.parametrize("data", [GET, b"nonsense\r\n\r\n"])
async def test_no_response_names_versions(wire: Any, data: bytes) -> None:
    async with wire.gateway(settings={"keep_alive_seconds": 1}) as (port, _):
        answer, _ = await wire.send(port, data)
    assert b"Server: voxfleet\r\n" in answer
    assert b"Python" not in answer
    assert b"aiohttp" not in answer
