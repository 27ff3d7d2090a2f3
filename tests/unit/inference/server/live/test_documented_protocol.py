"""The events and sessions that docs/speech-api.md shows are those that a server sends."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import websockets

DOCS = (Path(__file__).parents[5] / "docs" / "speech-api.md").read_text(encoding="utf-8")
SESSION = re.search(r"```session\n(.*?)```", DOCS, re.DOTALL)
EVENTS = [json.loads(line[6:]) for line in DOCS.splitlines() if line.startswith("data: ")]
PATIENCE_SECONDS = 60.0


async def test_the_documented_session_happens(server: Any) -> None:
    assert SESSION is not None
    url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
    server.model.step_seconds = 0.005  # slow enough that a cancel arrives while a sentence is spoken
    async with websockets.connect(url) as socket:
        for line in SESSION[1].splitlines():
            direction, shown = line.split(" ", 1)
            if direction == ">":
                await socket.send(shown)
            elif shown == "binary":
                await next_binary(socket)
            else:
                check_message(await next_text(socket), json.loads(shown))


def check_message(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    assert got.get("usage", {}).keys() == expected.get("usage", {}).keys()
    for name in ("type", "text", "index", "seed", "sample_rate", "response_format"):
        assert got.get(name) == expected.get(name), name


async def next_binary(socket: websockets.ClientConnection) -> bytes:
    async with asyncio.timeout(PATIENCE_SECONDS):
        audio = await socket.recv()
    assert isinstance(audio, bytes)
    return audio


async def next_text(socket: websockets.ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while isinstance(message := await socket.recv(), bytes):
            pass
    return dict(json.loads(message))


async def test_the_documented_events_have_the_fields_that_are_sent(server: Any) -> None:
    body = {"model": "voxcpm-1.5", "input": "Fine so far. Then please refuse.", "stream_format": "sse"}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        good = (
            await client.post("/v1/audio/speech", json={**body, "input": "Hello there.", "word_timestamps": True})
        ).text
        bad = (await client.post("/v1/audio/speech", json=body)).text
    sent = [json.loads(line[6:]) for line in (good + bad).splitlines() if line.startswith("data: ")]
    for documented in EVENTS:
        forms = [each.keys() for each in sent if each["type"] == documented["type"]]
        assert documented.keys() in forms
    assert {each["type"] for each in EVENTS} == {each["type"] for each in sent}
    done = next(each for each in sent if each["type"] == "speech.audio.done")
    documented_done = next(each for each in EVENTS if each["type"] == "speech.audio.done")
    assert done["sentences"][0].keys() == documented_done["sentences"][0].keys()
