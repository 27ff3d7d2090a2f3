"""The server speaks Cartesia's protocol: several contexts on one WebSocket, and HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from voxfleet_protocols.cartesia import MAX_CONTEXTS

PATCH = 7056
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 44_100}
FIELDS = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "default"}, "output_format": RAW, "add_timestamps": True}
LONG = "A sentence that is much too long to be finished by now. " * 20


class Talk:
    """A client that keeps what it receives, by context."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.audio: dict[str, bytes] = defaultdict(bytes)
        self.frames: list[dict[str, Any]] = []

    async def send(self, context_id: str, transcript: str, **fields: Any) -> None:
        message = {**FIELDS, "context_id": context_id, "transcript": transcript, "max_buffer_delay_ms": 0}
        await self.socket.send(json.dumps(message | fields))

    async def cancel(self, context_id: str) -> None:
        await self.socket.send(json.dumps({"context_id": context_id, "cancel": True}))

    async def receive(self, kind: str, context_id: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                fields = dict(json.loads(await self.socket.recv()))
                self.frames.append(fields)
                if fields["type"] == "chunk":
                    self.audio[fields["context_id"]] += base64.b64decode(fields["data"])
                if (fields["type"], fields["context_id"]) == (kind, context_id):
                    return fields

    def words(self, context_id: str) -> list[str]:
        stamps = [each for each in self.frames if (each["type"], each["context_id"]) == ("timestamps", context_id)]
        return [word for each in stamps for word in each["word_timestamps"]["words"]]


def connect(server: Any, query: str = "", **options: Any) -> Any:
    url = f"ws://127.0.0.1:{server.port}/tts/websocket?cartesia_version=2025-04-16{query}"
    return websockets.connect(url, compression=None, max_size=None, **options)


async def test_contexts_are_sessions_side_by_side_on_one_socket(server: Any, wait_until: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        await talk.send("one", "Good morning. ", **{"continue": True})
        await talk.send("two", "Something else.", **{"continue": False})
        await talk.send("one", "And more. ", **{"continue": True})
        await talk.send("one", " ", **{"continue": False})
        await talk.receive("done", "one")
        if not any((each["type"], each["context_id"]) == ("done", "two") for each in talk.frames):
            await talk.receive("done", "two")
        assert talk.words("one") == ["Good", "morning.", "And", "more."]
        assert talk.words("two") == ["Something", "else."]
        assert len(talk.audio["one"]) // 2 >= len("Good morning.And more.") * PATCH
        starts = [
            start
            for each in talk.frames
            if (each["type"], each["context_id"]) == ("timestamps", "one")
            for start in each["word_timestamps"]["start"]
        ]
        assert starts == sorted(starts)
        await talk.send("one", "The same id again.", **{"continue": False})
        await talk.receive("done", "one")
        await wait_until(lambda: server.load.open_requests == 0)


async def test_cancel_stops_one_context_and_leaves_the_others(server: Any, wait_until: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        for context_id in ("one", "two"):
            await talk.send(context_id, LONG, **{"continue": True})
            await talk.receive("chunk", context_id)
        await talk.cancel("one")
        await talk.cancel("never begun")
        await talk.receive("done", "one")
        await wait_until(lambda: server.load.open_requests == 1)
        await talk.receive("chunk", "two")
        assert talk.words("one") == [] or len(talk.words("one")) < len(LONG.split())
    await wait_until(lambda: server.load.open_requests == 0)  # a client that leaves ends all of its contexts


async def test_what_a_context_cannot_have_is_an_error_of_that_context(server: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        await talk.send("voice", "Hello.", voice={"mode": "id", "id": "aura-nobody"})
        assert "aura-nobody" in (await talk.receive("error", "voice"))["error"]
        await talk.send("format", "Hello.", output_format=RAW | {"encoding": "pcm_f32le"})
        assert "pcm_f32le" in (await talk.receive("error", "format"))["error"]
        await socket.send("no JSON")
        await talk.receive("error", "")
        await socket.send(b"binary")
        await talk.receive("error", "")
        await talk.send("good", "Hello.", **{"continue": False})
        await talk.receive("done", "good")
        assert not any(each["type"] == "done" and each["context_id"] == "voice" for each in talk.frames)


async def test_the_contexts_of_a_socket_are_bounded(server: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        for index in range(MAX_CONTEXTS + 1):
            await talk.send(str(index), "Hm", max_buffer_delay_ms=3000, **{"continue": True})
        error = await talk.receive("error", str(MAX_CONTEXTS))
        assert (error["error_code"], str(MAX_CONTEXTS) in error["error"]) == ("too_many_contexts", True)
        await talk.send("0", ".", **{"continue": False})
        await talk.receive("done", "0")
        await talk.send("new", "Hello.", **{"continue": False})
        await talk.receive("done", "new")


async def test_an_idle_socket_without_contexts_is_closed(start_server: Any, make_model: Any, wait_until: Any) -> None:
    async with start_server(make_model(), session_idle_seconds=0.5) as running:
        await wait_until(lambda: running.lifecycle.is_ready)
        async with connect(running) as socket, asyncio.timeout(60):
            await socket.wait_closed()
            assert socket.close_code == 1008


async def test_a_key_is_needed_and_may_be_in_the_query(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    keys_file = tmp_path / "keys"
    keys_file.write_text(f"ada {hashlib.sha256(b'secret').hexdigest()}\n")
    async with start_server(make_model(), api_keys_file=keys_file) as running:
        await wait_until(lambda: running.lifecycle.is_ready)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(running).__aenter__()
        assert refused.value.response.status_code == 401
        for query, headers in (("&api_key=secret", {}), ("", {"X-API-Key": "secret"})):
            async with connect(running, query, additional_headers=headers) as socket:
                talk = Talk(socket)
                await talk.send("c", "Hello.", **{"continue": False})
                await talk.receive("done", "c")


async def test_the_http_form_streams_audio_and_refuses_in_cartesia_s_form(server: Any) -> None:
    url = f"http://127.0.0.1:{server.port}/tts/bytes"
    async with httpx.AsyncClient(timeout=60) as client:
        spoken = await client.post(url, json={**FIELDS, "transcript": "Hello."})
        assert (spoken.status_code, len(spoken.content) >= len("Hello.") * PATCH * 2) == (200, True)
        wav = await client.post(
            url, json={**FIELDS, "transcript": "Hello.", "output_format": RAW | {"container": "wav"}}
        )
        assert (wav.headers["content-type"], wav.content[:4]) == ("audio/wav", b"RIFF")
        for wrong in ({"transcript": ""}, {"transcript": "x", "voice": "aura-nobody"}, {"transcript": "x", "speed": 9}):
            refused = await client.post(url, json=FIELDS | wrong)
            assert refused.status_code == 400
            assert set(refused.json()) == {"error_code", "title", "message", "request_id"}
