"""Gateways that store voices, each with a folder of its own; and pods with the inference server's own internal port."""

import asyncio
import contextlib
import hashlib
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import pytest
from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint
from voxfleet_gateway.server import middleware
from voxfleet_gateway.tokens import pod_token
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.server.internal import internal_app
from voxfleet_inference.server.serve import QuietServer, uvicorn_config
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.voices import voice_making
from voxfleet_inference.voices.catalog import VoiceCatalog

FORM = {"name": "Ada", "transcript": "What I said.", "consent": "in writing"}
KEY = "x"  # the internal key of `wire`'s gateways
VOICES = "/v1/audio/voices"
RATE = 16_000


def free_port() -> int:
    for port in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


class Node:
    """One gateway with a folder of its own."""

    def __init__(self, port: int, internal_port: int, gateway: Any, session: aiohttp.ClientSession) -> None:
        self.port, self.internal_port, self.gateway, self.session = port, internal_port, gateway, session
        self.repository = gateway.voices.repository
        self.peers = gateway.internal_voices.peers if gateway.internal_voices else None

    async def send(self, method: str, path: str, tenant: str = "", **options: Any) -> tuple[int, Any]:
        headers = {"Test-Tenant": tenant} | options.pop("headers", {})
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            return response.status, await response.json() if "json" in response.content_type else await response.read()

    async def make(self, recording: bytes = b"sound", tenant: str = "", **fields: str) -> tuple[int, Any]:
        form = aiohttp.FormData(FORM | fields)
        form.add_field("audio_sample", recording, filename="ada.wav")
        return await self.send("POST", VOICES, tenant, data=form)

    async def design(self, tenant: str = "", headers: Any = None, **fields: Any) -> tuple[int, Any]:
        return await self.send("POST", VOICES, tenant, json={"name": "7", "seed": 7} | fields, headers=headers or {})

    async def speak(self, voice: Any, tenant: str = "") -> int:
        status, _ = await self.send(
            "POST", "/v1/audio/speech", tenant, json={"model": "m", "input": "hi", "voice": voice}
        )
        return status

    def set_pods(self, *ports: int) -> None:
        """Replace the region's pods by those whose internal ports these are; ready, and not polled."""
        addresses = [PodAddress("127.0.0.1", 9, port) for port in ports]
        fleet = self.gateway.fleet
        fleet.pods_behind = lambda _: tuple(PodEndpoint(each, is_ready=True) for each in addresses)
        fleet.on_pods_change = lambda _: None
        fleet.refresh()


@pytest.fixture(autouse=True)
def tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    async def authenticate(request: Any, accounts: Accounts) -> Caller:
        return Caller(tenant=request.headers.get("Test-Tenant", ""), max_body_bytes=accounts.settings.max_body_bytes)

    monkeypatch.setattr(middleware, "authenticate", authenticate)


@pytest.fixture
def nodes(wire: Any, tmp_path: Path) -> Any:
    @contextlib.asynccontextmanager
    async def start(
        count: int = 1, *, pods: tuple[Any, ...] = (), ports: list[int] | None = None, **settings: Any
    ) -> AsyncIterator[list[Node]]:
        ports = ports or [free_port() for _ in range(count)]
        peers = ",".join(f"127.0.0.1:{port}" for port in ports)
        rules, named = settings.pop("rules", None), settings.pop("named", None)
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            started = []
            for port in ports:
                given = {"voices_dir": str(tmp_path / str(port)), "internal_port": port, "voice_peers": peers}
                given |= {"voice_sync_seconds": 600} | settings
                api, gateway = await stack.enter_async_context(
                    wire.gateway(*pods, settings=given, rules=rules, named=named)
                )
                started.append(Node(api, port, gateway, session))
            yield started

    return start


@pytest.fixture
def following() -> Any:
    @contextlib.asynccontextmanager
    async def follow(*nodes: Node) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(node.peers.follow(node.repository)) for node in nodes]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return follow


@pytest.fixture
def checking() -> Any:
    @contextlib.asynccontextmanager
    async def check(*nodes: Node) -> AsyncIterator[None]:
        for node in nodes:
            node.gateway.voices.checker.look_seconds = 0.01
        tasks = [asyncio.create_task(node.gateway.voices.checker.run()) for node in nodes]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return check


@pytest.fixture
def until() -> Any:
    async def wait(condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    return wait


class Engine:
    """Stands in for the model: recordings become two patches, a seed becomes latents that differ by it."""

    def __init__(self) -> None:
        self.encoded = 0
        self.drawn: list[tuple[str, int]] = []

    async def encode_voice(self, _samples: Any, _rate: int) -> Any:
        self.encoded += 1
        return np.zeros((2, 4, 8), dtype=np.float32)

    async def designed_prompt(self, text: str, seed: int, _engine: Any) -> VoicePrompt:
        if "endless" in text:
            raise voice_making.SampleTooLongError
        self.drawn.append((text, seed))
        # As on a GPU, where the last bits of a design differ from one time to the next.
        return VoicePrompt(text, np.random.default_rng().standard_normal((3, 4, 8)).astype(np.float32))


class Pod:
    """The inference server's internal port, with the real code from there to the engine."""

    def __init__(self, engine: Engine) -> None:
        settings, token = ServeSettings(model_path=Path("/nowhere")), pod_token(KEY, "d", "n")
        self.engine, self.port = engine, 0
        self.service = SimpleNamespace(
            settings=SimpleNamespace(internal_token_sha256=hashlib.sha256(token.encode()).hexdigest()),
            supervisor=SimpleNamespace(check_ready=lambda: None, engine=engine),
            voices=VoiceCatalog(settings),
        )


@pytest.fixture
async def pod(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pod]:
    started = Pod(Engine())
    monkeypatch.setattr(voice_making, "designed_prompt", started.engine.designed_prompt)
    listening = socket.create_server(("127.0.0.1", 0))
    started.port = listening.getsockname()[1]
    server = QuietServer(uvicorn_config(internal_app(started.service)))  # type: ignore[arg-type]
    serving = asyncio.create_task(server.serve([listening]))
    yield started
    server.should_exit = True
    await asyncio.wait_for(serving, 30)


@pytest.fixture
def recording() -> Any:
    def make(level: float = 0.3, seconds: float = 1.5) -> bytes:
        encoder = make_encoder(FORMATS["wav"], RATE, RATE)
        samples = (level * np.sin(np.arange(int(seconds * RATE)) * 0.05)).astype(np.float32)
        return encoder.encode(samples) + encoder.finish()

    return make
