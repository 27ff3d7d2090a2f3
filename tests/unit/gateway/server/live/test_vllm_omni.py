"""vLLM-Omni's messages through the gateway, on the path of VoxFleet's own sessions."""

import json
from pathlib import Path
from typing import Any

import pytest


async def test_a_config_chooses_the_protocol_and_its_voice_is_looked_up(wire: Any, live: Any) -> None:
    async def speak(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await live.event(socket, "session.started", seed=7, response_format="pcm", sample_rate=24_000)
        while (message := await pod.next(socket))["type"] != "session.end":
            if message["type"] == "text.append":
                await live.event(socket, "sentence.started", index=0, text=message["text"], at_seconds=0.0)
                await socket.send(b"ab")
            else:
                await live.event(socket, "flushed", at_seconds=0.1)
        await live.event(socket, "session.done", usage={})

    pod = live.pod(speak)
    named = {"voices": {"alloy": "random"}}
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, named=named) as (port, _),
        live.client(port) as socket,
    ):
        config = {"type": "session.config", "voice": "alloy", "stream_audio": True, "response_format": "pcm"}
        for message in (config, {"type": "input.text", "text": "Hi."}, {"type": "input.done"}):
            await socket.send(json.dumps(message))
        frames = [await socket.recv() for _ in range(4)]
        await socket.send('{"type": "session.close"}')
        _, code = await live.read_all(socket)
    assert [each if isinstance(each, bytes) else json.loads(each)["type"] for each in frames] == [
        "audio.start", b"ab", "audio.done", "session.done"
    ]  # fmt: skip
    assert code == 1000
    assert (pod.received[0]["model"], pod.received[0]["voice"]) == ("m", "random")


@pytest.mark.parametrize("config", [{"model": "nothing"}, {"voice": "nothing"}])
async def test_a_config_with_an_unknown_name_ends_the_session(
    wire: Any, live: Any, tmp_path: Path, config: dict[str, str]
) -> None:
    settings = {"voices_dir": str(tmp_path)}
    async with wire.gateway(settings=settings) as (port, _), live.client(port) as socket:
        await socket.send(json.dumps({"type": "session.config"} | config))
        received, _ = await live.read_all(socket)
    (error,) = received
    assert (error["type"], "nothing" in error["message"]) == ("error", True)
