"""Sessions over a real WebSocket: what is spoken and when, and the response to each error."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from voxfleet_inference.engine.messages import VoicePrompt

PATCH = 7056
PATIENCE_SECONDS = 60.0
START = {"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm", "sample_rate": 44100}


@dataclass
class Talk:
    """A client of a session; keeps the messages and audio that it receives."""

    socket: websockets.ClientConnection
    audio: bytes = b""
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def receive(self, kind: str) -> dict[str, Any]:
        """Receive up to the next message of this type."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.socket.recv()
                if isinstance(message, bytes):
                    self.audio += message
                    continue
                self.messages.append(json.loads(message))
                if self.messages[-1]["type"] == kind:
                    return self.messages[-1]

    async def closed(self) -> int:
        """The code with which the server ended the session."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await self.socket.recv()
                except websockets.ConnectionClosed:
                    return self.socket.close_code or 0


@asynccontextmanager
async def talk(server: Any, **start: Any) -> AsyncIterator[Talk]:
    url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
    async with websockets.connect(url, compression=None, max_size=None) as socket:
        client = Talk(socket)
        if start:
            await client.send(**{**START, "kind": "session.start", **start})
            await client.receive("session.started")
        yield client


def kinds(client: Talk) -> list[str]:
    return [message["type"] for message in client.messages]


async def test_text_is_spoken_at_sentence_ends_and_the_rest_at_the_session_end(server: Any) -> None:
    async with talk(server, seed=3) as client:
        started = client.messages[0]
        assert len(started.pop("session_id")) == 32
        model_info = {"seed": 3, "response_format": "pcm", "sample_rate": 44100}
        assert started == {"type": "session.started", **model_info}
        for piece in ("The first sen", "tence is here. The sec", "ond one follows"):
            await client.send("text.append", text=piece)
        assert (await client.receive("sentence.started"))["text"] == "The first sentence is here."
        await client.send("session.end")
        second = await client.receive("sentence.started")
        done = await client.receive("session.done")
        assert await client.closed() == 1000
    assert (second["index"], second["text"]) == (1, "The second one follows")
    patches = len("The first sentence is here.") + len("The second one follows")
    assert done["usage"]["output_tokens"] == patches
    silence = len(client.audio) // 2 - patches * PATCH
    assert 0 < silence < 44100
    assert second["at_seconds"] == pytest.approx(27 * PATCH / 44100 + silence / 44100, abs=0.001)
    first_tone = np.frombuffer(client.audio[: 27 * PATCH * 2], "<i2") / 32767
    assert np.allclose(first_tone, 0.5 * np.sin(2 * np.pi * 440 * np.arange(27 * PATCH) / 44100), atol=1e-3)


async def test_a_flush_is_answered_after_the_last_audio_of_its_text(server: Any) -> None:
    async with talk(server, seed=1) as client:
        await client.send("text.flush")
        assert (await client.receive("flushed"))["at_seconds"] == 0.0
        await client.send("text.append", text="This is the first sentence. This is the second one. And a third")
        await client.send("text.flush")
        await client.send("text.append", text="Four")
        await client.send("text.flush")
        first, second = [await client.receive("flushed") for _ in range(2)]
        await client.send("session.end")
        await client.receive("session.done")
    assert kinds(client)[1:] == ["flushed", *["sentence.started"] * 3, "flushed", "sentence.started", "flushed",
                                 "session.done"]  # fmt: skip
    assert 0 < first["at_seconds"] < second["at_seconds"]


async def test_a_flush_speaks_the_incomplete_sentence(server: Any, wait_until: Any) -> None:
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="no end in sight")
        await client.send("text.flush")
        assert (await client.receive("sentence.started"))["text"] == "no end in sight"
        await wait_until(lambda: server.load.first_audio_seconds_p95 is not None)
        await client.send("session.end")
        await client.receive("session.done")
    assert len(client.audio) == 15 * PATCH * 2


async def test_the_first_sentence_is_the_voice_of_the_session(server: Any) -> None:
    async with talk(server, voice="random") as client:
        for text in ("A very first sentence.", "One more to follow it."):
            await client.send("text.append", text=text)
            await client.send("text.flush")
            await client.receive("sentence.started")
        await client.send("session.end")
        await client.receive("session.done")
    first, second = server.model.prompts[-2:]
    assert first is None
    assert isinstance(second, VoicePrompt)
    assert second.text == "A very first sentence."


async def test_the_voice_outlives_a_cancel(server: Any) -> None:
    async with talk(server, voice="random") as client:
        await client.send("text.append", text="A very first sentence. ")
        await client.send("text.flush")
        await client.receive("sentence.started")
        server.model.step_seconds = 0.02
        await client.send("text.append", text="x" * 90 + " and on it goes. ")
        await client.send("text.flush")
        await client.receive("sentence.started")
        await client.send("cancel")
        await client.receive("cancelled")
        server.model.step_seconds = 0.0
        await client.send("text.append", text="Again the voice.")
        await client.send("session.end")
        last = await client.receive("sentence.started")
        await client.receive("session.done")
    assert (last["index"], last["text"]) == (2, "Again the voice.")
    assert server.model.prompts[-1].text == "A very first sentence."


async def test_cancel_stops_at_once_and_the_session_continues(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.02
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="y" * 280 + ". More of it that nobody will hear. ")
        await client.send("text.flush")
        await client.receive("sentence.started")
        await client.send("cancel")
        cancelled = await client.receive("cancelled")
        before = len(client.audio) // 2
        assert cancelled["at_seconds"] == pytest.approx(before / 44100, abs=0.17)
        await wait_until(lambda: server.load.running_sequences == 0)
        server.model.step_seconds = 0.0
        await client.send("text.append", text="Now this.")
        await client.send("session.end")
        started = await client.receive("sentence.started")
        await client.receive("session.done")
    assert started["text"] == "Now this."
    assert started["at_seconds"] == cancelled["at_seconds"]
    assert len(client.audio) // 2 - before == 9 * PATCH


async def test_cancel_without_speech_is_confirmed_too(server: Any) -> None:
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="forgotten")
        await client.send("cancel")
        assert (await client.receive("cancelled"))["at_seconds"] == 0
        await client.send("session.end")
        assert (await client.receive("session.done"))["usage"]["total_tokens"] == 0
    assert client.audio == b""


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav"])
async def test_every_format_is_one_stream_across_sentences(server: Any, name: str) -> None:
    import io  # noqa: PLC0415

    import av  # noqa: PLC0415

    async with talk(server, response_format=name, sample_rate=None, seed=1) as client:
        await client.send("text.append", text="Two sentences here. Second of them.")
        await client.send("session.end")
        await client.receive("session.done")
    with av.open(io.BytesIO(client.audio)) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    spoken_seconds = (len("Two sentences here.") + len("Second of them.")) * PATCH / 44100
    assert spoken_seconds < seconds < spoken_seconds + 1


async def test_speed_and_sample_rate_of_the_start_hold_for_the_session(server: Any) -> None:
    async with talk(server, sample_rate=16000, speed=2.0, seed=1) as client:
        await client.send("text.append", text="0123456789")
        await client.send("session.end")
        await client.receive("session.done")
    assert len(client.audio) / 2 / 16000 == pytest.approx(10 * PATCH / 44100 / 2, rel=0.06)


@pytest.mark.parametrize(
    ("message", "param", "words"),
    [
        ("no json", None, "the message must be a JSON object"),
        ("[]", None, "the message must be a JSON object"),
        (b"bytes", None, "JSON in a text frame"),
        ('{"type": "speak"}', "type", "one of session.start, text.append"),
        ('{"type": ["a"]}', "type", "one of session.start"),
        ('{"type": "text.append"}', "text", "'text' is missing"),
        ('{"type": "text.append", "text": 5}', "text", "'text' must be a string; given 5"),
        ('{"type": "text.append", "text": "\\ud800"}', "text", "half a surrogate pair (U+D800)"),
        ('{"type": "session.start", "model": "voxcpm-1.5"}', "type", "started already"),
    ],
)
async def test_an_invalid_message_gets_an_error_and_the_session_continues(
    server: Any, message: str | bytes, param: str | None, words: str
) -> None:
    async with talk(server, seed=1) as client:
        await client.socket.send(message)
        error = (await client.receive("error"))["error"]
        assert error["param"] == param
        assert words in error["message"]
        assert error["type"] == "invalid_request_error"
        await client.send("text.append", text="Still here.")
        await client.send("session.end")
        await client.receive("session.done")
    assert len(client.audio) == 11 * PATCH * 2


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "tts-1"}, "model"),
        ({"voice": "nobody"}, "voice"),
        ({"speed": 9}, "speed"),
        ({"stream": False}, "stream"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"sample_rate": 5}, "sample_rate"),
        ({"input": "x" * 5000}, "text"),
    ],
)
async def test_an_invalid_start_names_the_field_and_may_be_sent_again(
    server: Any, fields: dict[str, Any], param: str
) -> None:
    async with talk(server) as client:
        await client.send("text.append", text="too early")
        assert (await client.receive("error"))["error"]["code"] == "not_started"
        await client.send(**{**START, "kind": "session.start", **fields})
        assert (await client.receive("error"))["error"]["param"] == param
        await client.send(**{**START, "kind": "session.start"})
        await client.receive("session.started")
        assert server.load.open_requests == 1


async def test_waiting_text_is_limited(start_server: Any, tone_model: Any, wait_until: Any) -> None:
    async with start_server(tone_model, max_input_characters=50) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with talk(server, seed=1) as client:
            await client.send("text.append", text="a" * 60)
            assert "spoken; 60 were given: send fewer at once" in (await client.receive("error"))["error"]["message"]
            await client.send("text.append", text="a" * 30)
            await client.send("text.append", text="b" * 30)
            error = (await client.receive("error"))["error"]
            assert (error["param"], error["code"]) == ("text", "too_long")
            assert "30 wait and 30 were given" in error["message"]
            await client.send("session.end")
            assert (await client.receive("sentence.started"))["text"] == "a" * 30


def shorten_idle_timeout(server: Any) -> None:
    """Shorten the idle timeout only after the start, so that a slow machine closes no session early."""
    object.__setattr__(
        server.service, "settings", server.service.settings.model_copy(update={"session_idle_seconds": 0.2})
    )


@pytest.mark.parametrize("start", [{}, {"seed": 1}])
async def test_an_idle_session_is_closed(server: Any, wait_until: Any, start: dict[str, Any]) -> None:
    async with talk(server, **start) as client:
        shorten_idle_timeout(server)
        assert (await client.receive("error"))["error"]["code"] == "session_idle"
        assert await client.closed() == 1008
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_session_is_not_idle_while_its_audio_is_made_and_played(server: Any) -> None:
    server.model.step_seconds = 0.02
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="z" * 12)
        await client.send("text.flush")
        flushed_at = asyncio.get_running_loop().time()
        await client.receive("sentence.started")
        shorten_idle_timeout(server)
        assert (await client.receive("error"))["error"]["code"] == "session_idle"
        assert asyncio.get_running_loop().time() - flushed_at > 12 * PATCH / 44100, "playing it takes so long"
    assert len(client.audio) == 12 * PATCH * 2


async def test_a_client_that_leaves_frees_the_engine(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.02
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="w" * 280)
        await client.send("text.flush")
        await client.receive("sentence.started")
    await wait_until(lambda: server.load.open_requests == 0)
    await wait_until(lambda: server.load.running_sequences == 0)
    assert server.metrics.cancelled_requests._value.get() == 1


async def test_an_engine_error_ends_the_session_with_an_error(server: Any, wait_until: Any) -> None:
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="please refuse this")
        await client.send("text.flush")
        assert (await client.receive("error"))["error"]["type"] == "server_error"
        assert await client.closed() == 1011
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_full_server_sends_retry_after_seconds(start_server: Any, tone_model: Any, wait_until: Any) -> None:
    async with start_server(tone_model, max_batch_size=1, max_queued_requests=0) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with talk(server, seed=1), talk(server) as second:
            await second.send(**{**START, "kind": "session.start"})
            error = await second.receive("error")
            assert error["error"]["code"] == "queue_full"
            assert error["retry_after_seconds"] >= 1
            assert await second.closed() == 1013


async def test_a_draining_server_speaks_the_received_text_and_admits_no_session(server: Any) -> None:
    async with talk(server, seed=1) as client:
        await client.send("text.append", text="said before")
        await client.send("text.append", text=" the end")
        await client.send("cancel")
        await client.receive("cancelled")
        await client.send("text.append", text="the very last words")
        await client.send("cancel")
        await client.receive("cancelled")
        await client.send("text.append", text="last words")
        await client.send("text.flush")
        await client.receive("sentence.started")
        server.service.supervisor.drain(enabled=True)
        await client.receive("session.done")
        assert await client.closed() == 1001
        assert len(client.audio) == 10 * PATCH * 2
        with pytest.raises(websockets.InvalidStatus) as refused:
            await talk(server).__aenter__()
    assert refused.value.response.status_code == 503
    assert "retry-after" in refused.value.response.headers


async def test_a_client_that_reads_nothing_is_disconnected(start_server: Any, make_model: Any, wait_until: Any) -> None:
    async with start_server(make_model(), max_buffered_audio_seconds=1.6, slow_client_seconds=0.3) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with talk(server, seed=1, sample_rate=96000) as client:
            client.socket.transport.pause_reading()
            for _ in range(8):
                await client.send("text.append", text="u" * 250 + ". ")
            await client.send("session.end")
            await wait_until(lambda: server.load.open_requests == 0)
            client.socket.transport.abort()
    assert server.metrics.cancelled_requests._value.get() == 0, "the server disconnected, not the client"


async def test_a_message_that_is_too_large_ends_the_session(server: Any) -> None:
    async with talk(server, seed=1) as client:
        with suppress(websockets.ConnectionClosed):  # the server may close before all of it has been sent
            await client.send("text.append", text="x" * (17 * 2**20))
        assert await client.closed() == 1009


async def test_a_request_without_an_upgrade_gets_426(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/v1/audio/speech/stream")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "WebSocket" in answer.json()["error"]["message"]


async def test_a_session_without_a_start_may_end(server: Any) -> None:
    async with talk(server) as client:
        await client.send("session.end")
        await client.receive("session.done")
        assert await client.closed() == 1000


@pytest.mark.parametrize("is_started", [True, False])
async def test_a_revoked_key_ends_a_session(
    tmp_path: Path, start_server: Any, make_model: Any, wait_until: Any, *, is_started: bool
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada {hashlib.sha256(b'secret').hexdigest()}\n")
    async with start_server(make_model(), api_keys_file=keys) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
        async with websockets.connect(url, additional_headers={"Authorization": "Bearer secret"}) as socket:
            client = Talk(socket)
            if is_started:
                await client.send(**{**START, "kind": "session.start"})
                await client.receive("session.started")
            keys.write_text("")
            assert (await client.receive("error"))["error"]["code"] == "invalid_api_key"
            assert await client.closed() == 1008
