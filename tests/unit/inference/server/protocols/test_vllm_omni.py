"""The server speaks vLLM-Omni's messages on the path of its own sessions."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from typing import Any

import pytest
import websockets

PATCH = 7056


def connect(server: Any) -> Any:
    return websockets.connect(f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream", compression=None, max_size=None)


async def until(socket: websockets.ClientConnection, kind: str) -> list[Any]:
    """Receive up to a message of this type; audio as bytes."""
    frames: list[Any] = []
    async with asyncio.timeout(60):
        while not frames or isinstance(frames[-1], bytes) or frames[-1]["type"] != kind:
            frame = await socket.recv()
            frames.append(frame if isinstance(frame, bytes) else json.loads(frame))
    return frames


async def test_two_utterances_are_two_files_on_one_connection(server: Any) -> None:
    async with connect(server) as socket:
        await socket.send(json.dumps({"type": "session.config", "voice": "default"}))
        for number, text in enumerate(("Hello there. And more.", "Again.")):
            await socket.send(json.dumps({"type": "input.text", "text": text}))
            await socket.send(json.dumps({"type": "input.done"}))
            start, audio, done, end = await until(socket, "session.done")
            assert (start["sentence_text"], start["utterance_index"]) == (text, number)
            with wave.open(io.BytesIO(audio)) as file:
                assert file.getnframes() >= len(text) * PATCH * file.getframerate() / 44100 * 0.9
            assert (done["type"], end["total_sentences"]) == ("audio.done", 1)
        await socket.send(json.dumps({"type": "session.close"}))
        with pytest.raises(websockets.ConnectionClosedOK):
            await socket.recv()


async def test_sentences_stream_while_they_are_made(server: Any) -> None:
    config = {"type": "session.config", "stream_audio": True, "response_format": "pcm", "split_granularity": "sentence"}
    async with connect(server) as socket:
        await socket.send(json.dumps(config))
        await socket.send(json.dumps({"type": "input.text", "text": "This is the first one. This is the second one."}))
        await socket.send(json.dumps({"type": "input.done"}))
        frames = await until(socket, "session.done")
    kinds = [frame["type"] for frame in frames if not isinstance(frame, bytes)]
    assert kinds == ["audio.start", "audio.done", "audio.start", "audio.done", "session.done"]
    assert all(isinstance(frame, bytes) for frame in frames[1 : [*map(type, frames)].index(bytes) + 2])


async def test_a_config_that_cannot_be_met_is_an_error_and_the_end(server: Any) -> None:
    async with connect(server) as socket:
        await socket.send(json.dumps({"type": "session.config", "voice": "nobody"}))
        (error,) = await until(socket, "error")
        assert "nobody" in error["message"]
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
