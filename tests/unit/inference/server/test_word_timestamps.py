"""Words with their seconds, in events of a request and in a session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import websockets

REQUEST = {"model": "voxcpm-1.5", "input": "Hello there. It is $5 today.", "stream_format": "sse"}


async def events_of(server: Any, **fields: Any) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        response = await client.post("/v1/audio/speech", json=REQUEST | fields)
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("response_format", ["pcm", "mp3", "opus"])
@pytest.mark.parametrize("speed", [1.0, 2.0])
async def test_events_have_each_sentence_s_words_after_its_audio(
    server: Any, response_format: str, speed: float
) -> None:
    events = await events_of(server, word_timestamps=True, normalize=True, response_format=response_format, speed=speed)
    stamps = [each for each in events if each["type"] == "speech.audio.timestamps"]
    assert [[word["word"] for word in each["words"]] for each in stamps] == [
        ["Hello", "there."], ["It", "is", "$5", "today."]
    ]  # fmt: skip
    sentences = events[-1]["sentences"]
    for stamp, sentence in zip(stamps, sentences, strict=True):
        assert {name: stamp[name] for name in ("index", "text", "at_seconds", "until_seconds")} == {
            name: sentence[name] for name in ("index", "text", "at_seconds", "until_seconds")
        }
        edges = [word[edge] for word in stamp["words"] for edge in ("start", "end")]
        assert edges == sorted(edges)
        assert stamp["at_seconds"] <= edges[0]
        assert edges[-1] <= stamp["until_seconds"] + 0.001
    kinds = [each["type"] for each in events]
    assert kinds[-1] == "speech.audio.done"
    if response_format == "pcm":
        assert "speech.audio.delta" in kinds[kinds.index(stamps[0]["type"]) :], (
            "the first words are not kept to the end"
        )


async def test_there_are_none_unless_asked_for(server: Any) -> None:
    assert all(each["type"] != "speech.audio.timestamps" for each in await events_of(server))


async def test_bare_audio_has_no_place_for_words(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        body = {**REQUEST, "stream_format": "audio", "word_timestamps": True}
        refused = await client.post("/v1/audio/speech", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "word_timestamps")
    assert "stream_format" in refused.json()["error"]["message"]


async def test_a_session_has_them_in_the_seconds_of_its_whole_audio(server: Any) -> None:
    url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
    stamps: list[dict[str, Any]] = []
    size = 0
    async with asyncio.timeout(60), websockets.connect(url, max_size=None) as socket:
        start = {"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm", "sample_rate": 44100}
        await socket.send(json.dumps({**start, "word_timestamps": True, "speed": 1.0}))
        for text in ("One sentence here. ", "Another one there."):
            await socket.send(json.dumps({"type": "text.append", "text": text}))
            await socket.send(json.dumps({"type": "text.flush"}))
        await socket.send(json.dumps({"type": "session.end"}))
        async for message in socket:
            if isinstance(message, bytes):
                size += len(message)
                continue
            event = json.loads(message)
            if event["type"] == "sentence.timestamps":
                assert size / 2 / 44100 >= event["until_seconds"] - 0.001, "its audio was sent before"
                stamps.append(event)
    assert [[word["word"] for word in each["words"]] for each in stamps] == [
        ["One", "sentence", "here."], ["Another", "one", "there."]
    ]  # fmt: skip
    assert stamps[0]["words"][-1]["end"] <= stamps[1]["at_seconds"] <= stamps[1]["words"][0]["start"]
