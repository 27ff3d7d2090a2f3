"""Sessions and voices through gateways that listen in this process, with the real inference server as their pod."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.commands.cli import app
from voxfleet_testbed.network.addresses import ports_for_later
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

MODEL = "voxcpm-1.5"
START = {"type": "session.start", "model": MODEL, "response_format": "pcm", "seed": 3}
KEY = RegionKey("d", "n", "eu")
SILENT = "silent: its level is -120 dB of full scale, and speech needs -60; record it nearer to the microphone"
FORM = {"name": "Ada", "transcript": "what I said", "consent": "in writing"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    made = CliRunner().invoke(app, ["tiny-checkpoint", str(folder), "--seed", "0"])
    assert made.exit_code == 0, made.output
    return folder


class World:
    """One server process, and gateways whose only region it is."""

    def __init__(self, folder: Path, model_path: Path) -> None:
        self.folder, self.model_path = folder, model_path
        self.port, self.metrics_port, self.pods_internal_port, *self.internal_ports = ports_for_later(5)
        self.gateways: list[tuple[int, Gateway]] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start_server(self) -> None:
        ports = {"--port": self.port, "--metrics-port": self.metrics_port, "--internal-port": self.pods_internal_port}
        command = [sys.executable, "-m", "voxfleet_inference", "serve", "--model-path", str(self.model_path)]
        command += ["--device", "cpu", "--dtype", "fp32", "--host", "127.0.0.1", "--cpu-threads", "1"]
        command += ["--model-name", MODEL, *(str(part) for pair in ports.items() for part in pair)]
        # The other gateway than the one that sends it the first request.
        command += ["--voice-source", f"http://127.0.0.1:{self.internal_ports[0]}"]
        self.process = subprocess.Popen(command, stderr=(self.folder / "stderr").open("wb"), stdout=subprocess.DEVNULL)

    @contextlib.asynccontextmanager
    async def gateway(self, internal_port: int) -> AsyncIterator[tuple[int, Gateway]]:
        settings = Settings(
            region="eu", internal_key=SecretStr("x"), host="127.0.0.1", port=0, metrics_port=0,
            internal_port=internal_port, voices_dir=str(self.folder / str(internal_port)), voice_sync_seconds=600,
            voice_peers=",".join(f"127.0.0.1:{port}" for port in self.internal_ports),
        )  # fmt: skip
        entry = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"))
        fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": MODEL}
        registry = Registry.of([ModelEntry(**fields, regions=(entry,))])
        no_api: Any = None
        async with open_gateway(settings, no_api) as gateway, listening(gateway) as opened:
            address = PodAddress("127.0.0.1", self.port, self.pods_internal_port)
            gateway.fleet.registry = lambda: registry
            gateway.fleet.pods_behind = lambda _: (PodEndpoint(address, is_ready=False),)
            for watch in gateway.watches:
                watch.synced.set()
            gateway.fleet.refresh()  # starts the poller: the pod is used once it reports that it is ready
            stored = gateway.internal_voices
            assert stored is not None
            assert gateway.voices.checker is not None
            tasks = [
                asyncio.create_task(stored.peers.follow(stored.repository)),
                asyncio.create_task(gateway.voices.checker.run()),
            ]
            yield opened["api"], gateway
            for task in tasks:
                task.cancel()
            await gateway.poller.stop()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)


@pytest.fixture
async def world(tiny: Path, tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, tiny)
    async with contextlib.AsyncExitStack() as stack:
        for port in made.internal_ports:
            made.gateways.append(await stack.enter_async_context(made.gateway(port)))
        yield made
    made.stop()


def recording(level: float = 0.1) -> bytes:
    encoder = make_encoder(FORMATS["mp3"], 44100, 44100)
    noise = np.random.default_rng(0).standard_normal(66150).astype(np.float32) * level
    return encoder.encode(noise) + encoder.finish()


@contextlib.asynccontextmanager
async def session_at(port: int) -> AsyncIterator[Any]:
    async with connect(f"ws://127.0.0.1:{port}/v1/audio/speech/stream", open_timeout=60) as opened:
        yield opened


async def send(opened: Any, *messages: dict[str, Any]) -> None:
    for message in messages:
        await opened.send(json.dumps(message))


async def read_all(opened: Any) -> tuple[list[Any], int | None]:
    received: list[Any] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            frame = await asyncio.wait_for(opened.recv(), 120)
            received.append(frame if isinstance(frame, bytes) else json.loads(frame))
    return received, opened.close_code


def texts(received: list[Any]) -> list[dict[str, Any]]:
    return [each for each in received if not isinstance(each, bytes)]


def audio(received: list[Any]) -> bytes:
    return b"".join(each for each in received if isinstance(each, bytes))


async def check_silent(session: aiohttp.ClientSession, ports: tuple[int, ...], voice: str) -> None:
    """The recording that was uploaded while all slept was checked at the wake, for all gateways."""
    for port in ports:
        url = f"http://127.0.0.1:{port}/v1/audio/voices/{voice}"
        async with asyncio.timeout(60):
            while True:
                async with session.get(url) as got:
                    found = await got.json()
                if found["status"] != "pending":
                    break
                await asyncio.sleep(0.05)
        assert (found["status"], found["reason"]) == ("unusable", SILENT)
        body = {"model": MODEL, "input": "Say this.", "voice": voice}
        async with session.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=body) as refused:
            error = (await refused.json())["error"]
        assert (refused.status, error["message"]) == (400, f"'voice' cannot be used: {SILENT}")


async def check_designed(session: aiohttp.ClientSession, port: int, speak: Callable[[str], Any]) -> None:
    """A voice by a seed is drawn by the server, once, and fetched by it from a gateway as a recording is."""
    voices = []
    for fields in ({"name": "seven"}, {"name": "again"}, {"name": "other", "seed": 8}):
        body = {"seed": 7, "transcript": "I am a voice.", **fields}
        async with session.post(f"http://127.0.0.1:{port}/v1/audio/voices", json=body) as made:
            voices.append(await made.json())
            assert made.status == 200, voices
    assert voices[0]["id"] == voices[1]["id"] != voices[2]["id"]
    assert (voices[0]["type"], voices[0]["seed"], voices[0]["model"], voices[0]["status"]) == (
        "seed",
        7,
        "d/n",
        "ready",
    )
    spoken = [await speak(each["id"]) for each in voices]
    assert [status for status, _ in spoken] == [200] * 3, spoken[0][1][:300]
    assert spoken[0] == spoken[1] != spoken[2]


async def upload_to(session: aiohttp.ClientSession, port: int, sample: bytes) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData(FORM)
    form.add_field("audio_sample", sample, filename="ada.mp3")
    async with session.post(f"http://127.0.0.1:{port}/v1/audio/voices", data=form) as made:
        return made.status, await made.json()


async def speak_with(session: aiohttp.ClientSession, port: int, voice: str) -> tuple[int, bytes]:
    body = {"model": MODEL, "input": "Say this.", "voice": voice, "response_format": "pcm", "seed": 3}
    async with session.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=body) as spoken:
        return spoken.status, await spoken.read()


async def test_sessions_and_voices_end_to_end(world: World, session: aiohttp.ClientSession) -> None:
    """One test, because the server takes half a minute to start."""
    (first, one), (second, two) = world.gateways
    upload, speak = partial(upload_to, session, first), partial(speak_with, session)
    status, silent = await upload(recording(level=0.0))  # no server is awake: nothing can decode it
    assert (status, silent["status"]) == (200, "pending")
    async with session_at(first) as opened:  # the session comes before its server
        await send(opened, START, {"type": "text.append", "text": "It is raining. You might want to stay. "})
        async with asyncio.timeout(60):
            while not one.fleet.held(KEY):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        world.start_server()
        started = json.loads(await asyncio.wait_for(opened.recv(), 240))
        await send(opened, {"type": "session.end"})
        received, code = await read_all(opened)
    assert (started["type"], started["seed"]) == ("session.started", 3)
    assert [each["type"] for each in texts(received)] == ["sentence.started", "sentence.started", "session.done"]
    assert texts(received)[-1]["usage"]["output_tokens"] > 0
    assert len(audio(received)) > 24_000
    assert code == 1000
    status, made = await upload(recording())
    assert (status, made["status"]) == (200, "ready")
    voice = made["id"]
    await check_silent(session, (first, second), silent["id"])
    status, refused = await upload(recording(level=0.0))  # now that a server is awake
    assert (status, refused["error"]["message"]) == (400, f"'audio_sample' cannot be used: {SILENT}")
    status, cloned = await speak(second, voice)
    assert (status, len(cloned) > 4800) == (200, True), cloned[:300]
    assert cloned != (await speak(second, "default"))[1]
    assert (await speak(first, voice)) == (200, cloned)
    await check_designed(session, first, lambda voice: speak(second, voice))
    async with session.delete(f"http://127.0.0.1:{second}/v1/voices/{voice}") as deleted:
        assert deleted.status == 200
    async with asyncio.timeout(60):
        while one.voices.repository.index.find("", voice):  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    for port in (first, second):
        status, refused = await speak(port, voice)
        assert (status, json.loads(refused)["error"]["code"]) == (400, "voice_not_found")
    async with session_at(second) as opened:
        await send(opened, START, {"type": "text.append", "text": "One sentence after the other. " * 60})
        while not isinstance(await asyncio.wait_for(opened.recv(), 240), bytes):
            pass
        world.stop()
        received, code = await read_all(opened)
    assert texts(received)[-1]["error"]["code"] == "upstream_broke_off"
    assert code == 1011
    assert [gateway.speech.bodies.used_bytes for gateway in (one, two)] == [0, 0]
    assert two.fleet.regions[KEY].traffic.open_requests == 0
