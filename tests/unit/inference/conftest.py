"""A model that hums, and the server around it: what arrives can be compared with what was asked."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Float32Array, Loaded, Sentence
from voxfleet_inference.engine.process import serve_connection
from voxfleet_inference.engine.runner import StepOutput
from voxfleet_inference.server.api import speech_app
from voxfleet_inference.server.engine_supervisor import Failure
from voxfleet_inference.server.serve import QuietServer, engine_settings, uvicorn_config
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.settings import ServeSettings

SAMPLE_RATE = 44100
PATCH_SAMPLES = 7056
PATIENCE_SECONDS = 60.0  # a crowded machine may be slow; what does not happen by then never will


@dataclass(slots=True)
class Humming:
    """One sentence being hummed."""

    hertz: float
    steps: int
    is_fatal: bool = False
    taken: int = 0
    max_steps: int = 10_000


@dataclass
class ToneModel:
    """Hums `len(text)` patches of a tone; texts can ask for trouble."""

    step_seconds: float = 0.0
    patch_size: int = 4
    feat_dim: int = 64
    steps_taken: int = 0
    prefilled: list[str] = field(default_factory=list)
    noises: list[Float32Array] = field(default_factory=list)
    prompts: list[object] = field(default_factory=list)
    gate: threading.Event | None = None
    voice_gate: threading.Event | None = None

    def prefill(self, sentence: Sentence) -> Humming:
        self.prefilled.append(sentence.text)
        self.prompts.append(sentence.prompt)
        if "refuse" in sentence.text:
            raise ValueError("this sentence cannot be read")
        return Humming(hertz=440.0, steps=len(sentence.text), is_fatal="fatal" in sentence.text)

    def step(self, decoding: Humming, noise: Float32Array) -> StepOutput:
        if decoding.is_fatal:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if self.gate is not None:
            assert self.gate.wait(PATIENCE_SECONDS)
        self.steps_taken += 1
        time.sleep(self.step_seconds)
        self.noises.append(noise)
        first = decoding.taken * PATCH_SAMPLES
        decoding.taken += 1
        at_seconds = np.arange(first, first + PATCH_SAMPLES) / SAMPLE_RATE
        samples = (0.5 * np.sin(2 * np.pi * decoding.hertz * at_seconds)).astype(np.float32)
        return StepOutput(noise, samples, decoding.taken >= decoding.steps)

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        if self.voice_gate is not None:
            assert self.voice_gate.wait(PATIENCE_SECONDS)
        if len(samples) < sample_rate // 10:
            raise ValueError("too short")
        return np.zeros((2, self.patch_size, self.feat_dim), dtype=np.float32)


TONE_LOADED = Loaded(
    sample_rate=SAMPLE_RATE,
    patch_samples=PATCH_SAMPLES,
    token_rate=6.25,
    patch_size=4,
    feat_dim=64,
    loaded_seconds=0.0,
    description="tones",
)


@pytest.fixture
def tone_model() -> ToneModel:
    return ToneModel()


@pytest.fixture
def make_model() -> type[ToneModel]:
    return ToneModel


@pytest.fixture
def tone_loaded() -> Loaded:
    return TONE_LOADED


@dataclass
class SpeakingServer:
    """The real HTTP side on loopback, with the engine's code in a thread behind a real pipe."""

    service: SpeechService
    port: int
    model: ToneModel
    failures: list[Failure]
    kill_engine: Callable[[], None]
    http: QuietServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def settings_for(**changes: Any) -> ServeSettings:
    return ServeSettings.model_validate({"model_path": "/nowhere", "device": "cpu", "dtype": "float32", **changes})


@asynccontextmanager
async def speaking_server(model: ToneModel, **changes: Any) -> AsyncIterator[SpeakingServer]:
    settings = settings_for(**changes)
    ours, theirs = socket.socketpair()
    engine_end = Connection(theirs.detach())
    engine = threading.Thread(target=serve_connection, args=(engine_end, lambda _: (model, TONE_LOADED)), daemon=True)
    engine.start()
    connection = Connection(ours.detach())
    connection.send(engine_settings(settings))
    failures: list[Failure] = []
    keys = ApiKeys(settings.api_keys_file) if settings.api_keys_file else None
    service = SpeechService(settings, failures.append)
    client = EngineClient(connection, service.observe)
    service.attach(client)
    client.start()
    listening = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn_config(speech_app(service, keys)))
    serving = asyncio.create_task(server.serve([listening]))
    yield SpeakingServer(service, listening.getsockname()[1], model, failures, lambda: shut_down(connection), server)
    server.should_exit = True
    client.close()
    await asyncio.wait_for(serving, PATIENCE_SECONDS)
    await asyncio.to_thread(engine.join, PATIENCE_SECONDS)
    assert not engine.is_alive()


def shut_down(connection: Connection) -> None:
    """What the death of the engine's process does to the pipe."""
    with socket.socket(fileno=os.dup(connection.fileno())) as raw:
        raw.shutdown(socket.SHUT_RDWR)


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test watches from outside
            await asyncio.sleep(0.005)


@pytest.fixture
async def server(tone_model: ToneModel) -> AsyncIterator[SpeakingServer]:
    async with speaking_server(tone_model) as running:
        await until(lambda: running.service.lifecycle.is_ready)
        yield running


@pytest.fixture
def start_server() -> Callable[..., Any]:
    return speaking_server


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until
