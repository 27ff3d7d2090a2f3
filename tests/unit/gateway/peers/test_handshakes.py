"""The port for peers: handshakes that do not end are ended, in time and in number, and no peer waits for them."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.server.clients import proxied_site

POLL = b"GET /internal/region HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"


def drops() -> float:
    labels = {"peer": "unknown", "reason": "handshakes"}
    return REGISTRY.get_sample_value("voxfleet_gateway_peer_failures_total", labels) or 0.0


async def is_polled(regions: Any, region: Any) -> bool:
    """Poll the region's gateway with its own certificate."""
    tls = PeerTls.of(regions.folders.root / region.name)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port_of(region), ssl=tls.client, server_hostname=region.name
    )
    writer.write(POLL)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def port_of(region: Any) -> int:
    return int(region.url.rpartition(":")[2])


async def test_a_handshake_that_is_not_completed_ends(regions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxied_site.HANDSHAKE_SECONDS == 10
    monkeypatch.setattr(proxied_site, "HANDSHAKE_SECONDS", 0.3)
    region, _ = await regions.open("eu")
    for sent in (b"", b"\x16\x03\x01\x02\x00"):  # of a ClientHello no more than its header
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(region))
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    assert await is_polled(regions, region)


async def test_of_too_many_handshakes_the_oldest_end(regions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied_site, "HANDSHAKE_SECONDS", 600.0)
    monkeypatch.setattr(proxied_site, "MAX_OPENING", 4)
    region, _ = await regions.open("eu")
    before, opened = drops(), []
    for _ in range(12):
        opened.append(await asyncio.open_connection("127.0.0.1", port_of(region)))
        await asyncio.sleep(0)
    for reader, _ in opened[:8]:
        assert await asyncio.wait_for(reader.read(), 30) == b""
    assert drops() == before + 8
    assert not any(reader.at_eof() for reader, _ in opened[8:])
    assert await is_polled(regions, region), "a peer takes the place of the oldest"
    assert drops() == before + 9
    for _, writer in opened:
        writer.close()
