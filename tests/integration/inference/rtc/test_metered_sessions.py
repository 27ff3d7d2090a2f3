"""A tenant's limits hold for what the data channel says: a gateway with keys, the real server, a client of aiortc."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.gateway import Gateway

KEY = "a-key-for-tests"
LIMITS = {"name": "acme", "audioSecondsPerMinute": 6, "concurrentRequests": 1}  # 80 characters
PATIENCE_SECONDS = 60
TEXT = "Short enough."


@pytest.fixture
async def gateway(gateway_before: Any, server: Any, tmp_path: Path) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway whose one region has the server, and whose one key has a tenant with limits."""
    keys, tenants = tmp_path / "keys", tmp_path / "tenants.json"
    keys.mkdir()
    entry = {"hash": hash_of(KEY), "tenant": "acme", "models": ["*"], "created_at": "2026-11-30T00:00:00Z"}
    (keys / "k-1.json").write_text(json.dumps(entry))
    tenants.write_text(json.dumps([LIMITS]))
    given = {"keys_folder": str(keys), "tenants_file": str(tenants), "replicas": 1}
    async with gateway_before(server, **given) as opened:
        yield opened


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - polled from outside
            await asyncio.sleep(0.02)


async def test_limits_hold_on_the_data_channel_and_a_revoked_key_ends_the_session(
    gateway: tuple[Gateway, str], server: Any, tmp_path: Path
) -> None:
    running, url = gateway
    lines: list[dict[str, Any]] = []
    running.speech.accounts.usage.write_line = lambda line: lines.append(json.loads(line))
    connection, events = RTCPeerConnection(RTCConfiguration(iceServers=[])), []
    channel = connection.createDataChannel("voxfleet")
    channel.on("message", lambda text: events.append(json.loads(text)))
    connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    start = {"type": "session.start", "model": "d/narrator", "seed": 1}
    offer = {"sdp": connection.localDescription.sdp, "messages": [start]}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as http:
        answer = await http.post("/v1/audio/speech/rtc", json=offer)
        assert answer.status_code == 201, answer.text
        assert (await http.post("/v1/audio/speech/rtc", json=offer)).status_code == 429, "one is open"
    await connection.setRemoteDescription(RTCSessionDescription(answer.json()["sdp"], "answer"))
    await until(lambda: channel.readyState == "open")
    for text in ("Long. " * 20, TEXT):
        channel.send(json.dumps({"type": "text.append", "text": text}))
    channel.send('{"type": "text.flush"}')

    def of(kind: str) -> list[dict[str, Any]]:
        return [each for each in events if each["type"] == kind]

    await until(lambda: of("flushed"))
    assert [each["error"]["code"] for each in of("error")] == ["rate_limit_exceeded"]
    assert [each["text"] for each in of("sentence.started")] == [TEXT]
    (tmp_path / "keys" / "k-1.json").unlink()
    running.speech.accounts.store.reload()
    watching = asyncio.create_task(running.live.run())
    await until(lambda: len(of("error")) > 1)
    assert of("error")[-1]["error"]["code"] == "invalid_api_key"
    await until(lambda: [each for each in lines if each["status"] == 401])
    used = next(each for each in lines if each["status"] == 401)
    assert (used["audio_seconds_source"], used["characters"]) == ("server", len(TEXT))
    assert used["audio_seconds"] > 0
    watching.cancel()
    await connection.close()
    await asyncio.to_thread(server.wait_for_idle)
