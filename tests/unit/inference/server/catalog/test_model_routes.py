from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

SPEECH = {"input": "Hi there.", "response_format": "pcm"}
NAMES = ("voxcpm-1.5", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")


@pytest.fixture
async def aliased(start_server: Any, tone_model: Any, wait_until: Any) -> AsyncIterator[Any]:
    async with start_server(tone_model, model_aliases=",".join(NAMES[1:])) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        yield server


async def test_every_name_of_the_model_is_listed_and_speaks(aliased: Any) -> None:
    async with httpx.AsyncClient(base_url=aliased.url, timeout=60) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert [(each["id"], each["root"]) for each in listed] == [(name, "voxcpm-1.5") for name in NAMES]
        for name in NAMES:
            assert (await client.get(f"/v1/models/{name}")).json()["id"] == name
            assert (await client.post("/v1/audio/speech", json={**SPEECH, "model": name})).status_code == 200
        unknown = await client.post("/v1/audio/speech", json={**SPEECH, "model": "tts-2"})
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"].endswith(
        "this server has 'voxcpm-1.5', 'tts-1', 'tts-1-hd', 'gpt-4o-mini-tts'"
    )


async def test_a_session_takes_an_alias_of_the_model(aliased: Any) -> None:
    async with websockets.connect(aliased.url.replace("http", "ws") + "/v1/audio/speech/stream") as socket:
        await socket.send(json.dumps({"type": "session.start", "model": "tts-1", "voice": None}))
        assert json.loads(await socket.recv())["type"] == "session.started"
