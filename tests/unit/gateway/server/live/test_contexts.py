"""Cartesia's protocol through the gateway: a session for each context of a socket."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.server.live import channel
from voxfleet_protocols.cartesia import MAX_CONTEXTS
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
FIELDS = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "alloy"}, "output_format": RAW, "add_timestamps": True}
NAMED = {"voices": {"alloy": "random"}}


async def speak(pod: Any, socket: Any) -> None:
    """Send each text back as audio, with a word, until the session ends or is cancelled."""
    await pod.next(socket)
    await socket.send(json.dumps({"type": "session.started", "seed": 7, "session_id": "s"}))
    while (message := await pod.next(socket))["type"] != "session.end":
        if message["type"] == "text.append":
            await socket.send(message["text"].encode())
            words = [{"word": message["text"].strip(), "start": 0.0, "end": 1.0}]
            await socket.send(json.dumps({"type": "sentence.timestamps", "words": words}))
    await socket.send(json.dumps({"type": "session.done", "usage": {}}))


def client(port: int, query: str = "", **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{port}/tts/websocket{query}", **options)


async def send(socket: Any, context_id: str, transcript: str, more: bool, **fields: Any) -> None:  # noqa: FBT001
    message = {**FIELDS, "context_id": context_id, "transcript": transcript, "continue": more} | fields
    await socket.send(json.dumps(message))


async def until(socket: Any, *wanted: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the frames up to the last of those that are wanted, in whatever order."""
    received: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not {*wanted} <= {(each["type"], each["context_id"]) for each in received}:
            received.append(json.loads(await socket.recv()))
    return received


def audio(received: list[dict[str, Any]], context_id: str) -> bytes:
    chunks = [each for each in received if (each["type"], each["context_id"]) == ("chunk", context_id)]
    return b"".join(base64.b64decode(each["data"]) for each in chunks)


async def test_each_context_is_a_session_at_a_pod_and_a_request(wire: Any, live: Any, keyed: Any) -> None:
    pod = live.pod(speak)
    async with live.listening(pod) as ports, keyed(*ports, named=NAMED) as gateway:
        async with client(gateway.port, additional_headers={"X-API-Key": "all"}) as socket:
            await send(socket, "one", "Hello. ", more=True)
            await send(socket, "two", "Other.", more=False)
            await send(socket, "one", "Bye.", more=False)
            received = await until(socket, ("done", "one"), ("done", "two"))
            assert (audio(received, "one"), audio(received, "two")) == (b"Hello. Bye.", b"Other.")
            words = [
                each["word_timestamps"]["words"][0]
                for each in received
                if (each["type"], each["context_id"]) == ("timestamps", "one")
            ]
            assert words == ["Hello.", "Bye."]
            async with asyncio.timeout(20):
                while gateway.gateway.live.sessions or len(gateway.lines) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert (pod.open, socket.close_code) == (0, None)
        (state,) = gateway.gateway.fleet.regions[wire.key].pods.values()
        assert (state.open_requests, gateway.gateway.speech.bodies.used_bytes) == (0, 0)
        assert sorted(line["characters"] for line in gateway.lines) == [6, 11]
    starts = [each for each in pod.received if each["type"] == "session.start"]
    assert {(each["model"], each["voice"], each["word_timestamps"]) for each in starts} == {("m", "random", True)}


async def test_cancel_ends_one_context_and_leaving_ends_all(wire: Any, live: Any) -> None:
    pod = live.pod(speak)
    async with live.listening(pod) as ports, wire.gateway(*ports, named=NAMED) as (port, gateway):
        async with client(port) as socket:
            await send(socket, "one", "Hello. ", more=True)
            await send(socket, "two", "Other. ", more=True)
            await until(socket, ("chunk", "one"), ("chunk", "two"))
            await socket.send(json.dumps({"context_id": "one", "cancel": True}))
            await until(socket, ("done", "one"))
            await send(socket, "two", "More. ", more=True)
            assert audio(await until(socket, ("chunk", "two")), "two") == b"More. "
            assert [each["type"] for each in pod.received].count("cancel") == 1
        async with asyncio.timeout(20):
            while gateway.live.sessions or pod.open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_what_is_refused_is_an_error_of_its_context(wire: Any, live: Any, tmp_path: Any) -> None:
    pod = live.pod(speak)
    settings = {"voices_dir": str(tmp_path)}
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, named=NAMED, settings=settings) as (port, _),
        client(port) as socket,
    ):
        await send(socket, "voice", "Hello.", more=False, voice="nobody")
        assert "nobody" in (await until(socket, ("error", "voice")))[-1]["error"]
        await send(socket, "format", "Hello.", more=False, output_format=RAW | {"encoding": "pcm_f32le"})
        assert "pcm_f32le" in (await until(socket, ("error", "format")))[-1]["error"]
        await socket.send("no JSON")
        await until(socket, ("error", ""))
        for index in range(MAX_CONTEXTS + 1):
            await send(socket, str(index), "", more=True)
        refused = await until(socket, ("error", str(MAX_CONTEXTS)))
        assert refused[-1]["error_code"] == "too_many_contexts"
        await send(socket, "0", "Hello.", more=False)
        await until(socket, ("done", "0"))
        await send(socket, "voice", "Hello.", more=False)
        await until(socket, ("done", "voice"))


async def test_a_held_context_is_kept_alive_and_a_suspended_one_is_refused(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "KEEP_ALIVE_SECONDS", 0.1)
    async with wire.gateway(named=NAMED) as (port, gateway), client(port) as socket:
        await send(socket, "one", "Hello. ", more=True)
        received = await until(socket, ("flush_done", "one"))
        assert [each["type"] for each in received] == ["flush_done"]
        assert gateway.fleet.regions[wire.key].traffic.is_wake_requested
    async with wire.gateway(named=NAMED, suspended=True) as (port, _), client(port) as socket:
        await send(socket, "one", "Hello. ", more=True)
        assert "suspended" in (await until(socket, ("error", "one")))[-1]["error"]


async def test_a_key_is_needed_and_may_be_in_the_query(live: Any, keyed: Any) -> None:
    pod = live.pod(speak)
    async with live.listening(pod) as ports, keyed(*ports, named=NAMED) as gateway:
        with pytest.raises(InvalidStatus) as refused:
            await client(gateway.port).__aenter__()
        assert refused.value.response.status_code == 401
        async with client(gateway.port, "?api_key=all") as socket:
            await send(socket, "one", "Hello.", more=False)
            await until(socket, ("done", "one"))


async def test_the_http_form_is_a_speech_request(wire: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nContent-Length: 5\r\n\r\naudio"
    async with wire.gateway(wire.pod(answer), named=NAMED) as (port, _), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/tts/bytes"
        spoken = await session.post(url, json={**FIELDS, "transcript": "Hello."})
        assert (spoken.status, await spoken.read()) == (200, b"audio")
        wrong = await session.post(url, json={**FIELDS, "transcript": ""})
        assert (wrong.status, set(await wrong.json())) == (400, {"error_code", "title", "message", "request_id"})
