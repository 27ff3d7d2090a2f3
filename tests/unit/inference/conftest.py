"""A model that makes a tone, and the server around it: audio that arrives can be compared with the request."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Float32Array, Loaded, Sentence
from voxfleet_inference.engine.model_backend import SentenceTooLongError, SequenceCost, Slot, StepOutput
from voxfleet_inference.engine.process import EngineSettings, serve_connection, shut_down
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.server.api import speech_app
from voxfleet_inference.server.engine_supervisor import Failure
from voxfleet_inference.server.lifecycle import Lifecycle
from voxfleet_inference.server.serve import QuietServer, engine_settings, uvicorn_config
from voxfleet_inference.server.service import SpeechService, make_service
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.load import Load
from voxfleet_inference.telemetry.metrics import Metrics

SAMPLE_RATE = 44100
PATCH_SAMPLES = 7056
HERTZ = 440.0
PATIENCE_SECONDS = 60.0  # the timeout of every wait; long enough for a slow machine


@dataclass(slots=True)
class ToneSequence:
    """One sequence in its slot."""

    sentence: Sentence
    extent: range
    unread: int  # prompt positions yet to be prefilled
    taken: int = 0  # steps

    @property
    def steps(self) -> int:
        length = len(self.sentence.text)
        return 6 * length if "~" in self.sentence.text and not self.sentence.attempt else length


@dataclass
class FinishedStep:
    """A step whose output is there when it is launched."""

    output: StepOutput

    def collect(self) -> StepOutput:
        return self.output


@dataclass
class ToneModel:
    """Makes `len(text)` patches of a tone. Words in the text make it fail; with a ~, the first attempt is a runaway.

    Asserts that the engine follows the protocol: one thread, a slot per sequence, prefill before the first step.
    """

    step_seconds: float = 0.0
    patch_size: int = 4
    feat_dim: int = 64
    slots: int = 64
    kv_positions: int = 1_000_000
    steps_taken: int = 0  # patches of all sequences
    batches: list[int] = field(default_factory=list)  # rows of each step
    prefilled: list[str] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    noises: list[Float32Array] = field(default_factory=list)
    prompts: list[object] = field(default_factory=list)
    single_speaker: bool = False
    assigned: dict[int, ToneSequence] = field(default_factory=dict)
    gate: threading.Event | None = None
    voice_gate: threading.Event | None = None
    thread: threading.Thread | None = None
    rows_that_fit: int = 1_000
    positions_that_fit: int = 1_000_000  # of a prompt, in one prefill
    times_freed: int = 0
    fatal_message: str = "CUDA error: an illegal memory access was encountered"

    def estimate_cost(self, sentence: Sentence) -> SequenceCost:
        """A character is a token; the limit of steps is the reference implementation's."""
        tokens = len(sentence.text)
        if "endless" in sentence.text:
            raise SentenceTooLongError("the sentence needs a million positions, the model has room for ten in all")
        max_steps = 6 * tokens + 10 if sentence.max_steps is None else min(6 * tokens + 10, sentence.max_steps)
        voice = 0 if sentence.prompt is None else len(sentence.prompt.latents)
        return SequenceCost(tokens + 1 + voice, max_steps, tokens)

    def admit(self, slot: Slot, sentence: Sentence) -> None:
        self._check_thread()
        extent = range(slot.first_position, slot.first_position + slot.positions)
        assert slot.index not in self.assigned
        assert 0 <= slot.index < self.slots
        assert extent.stop <= self.kv_positions
        assert not any(_overlap(extent, other.extent) for other in self.assigned.values())
        self.assigned[slot.index] = ToneSequence(sentence, extent, self.estimate_cost(sentence).prompt_positions)

    def prefill(self, slot: int, positions: int) -> None:
        self._check_thread()
        if positions > self.positions_that_fit:
            raise OutOfMemoryError(f"no room for {positions} positions")
        self.chunks.append(positions)
        sequence = self.assigned[slot]
        sequence.unread -= positions
        assert sequence.unread >= 0
        if "refuse" in sequence.sentence.text:
            raise ValueError("this sentence cannot be read")
        if not sequence.unread:
            self.prefilled.append(sequence.sentence.text)
            self.prompts.append(sequence.sentence.prompt)

    def step(self, slots: Sequence[int], noise: Float32Array) -> FinishedStep:
        self._check_thread()
        rows = [self.assigned[slot] for slot in slots]
        assert len(set(slots)) == len(slots) == len(noise) > 0
        assert not any(row.unread for row in rows)
        for row in rows:
            self._raise_as_asked(row.sentence.text)
        if len(rows) > self.rows_that_fit:
            raise OutOfMemoryError(f"no room for {len(rows)} rows")
        if self.gate is not None:
            assert self.gate.wait(PATIENCE_SECONDS)
        time.sleep(self.step_seconds)
        self.batches.append(len(rows))
        self.steps_taken += len(rows)
        self.noises += list(noise)
        samples = np.stack([self._tone(row) for row in rows])
        ends = np.array([row.taken - row.steps for row in rows])
        return FinishedStep(StepOutput(noise, samples, ends >= 0, ends == -1))

    def release(self, slot: int) -> None:
        self._check_thread()
        del self.assigned[slot]

    def free_memory(self) -> None:
        self._check_thread()
        self.times_freed += 1

    @staticmethod
    def _tone(row: ToneSequence) -> Float32Array:
        first = row.taken * PATCH_SAMPLES
        row.taken += 1
        at_seconds = np.arange(first, first + PATCH_SAMPLES) / SAMPLE_RATE
        tone: Float32Array = (0.5 * np.sin(2 * np.pi * HERTZ * at_seconds)).astype(np.float32)
        return tone

    def _raise_as_asked(self, text: str) -> None:
        if "fatal" in text:
            raise RuntimeError(self.fatal_message)
        if "greedy" in text:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    def _check_thread(self) -> None:
        self.thread = self.thread or threading.current_thread()
        assert threading.current_thread() is self.thread

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        if self.voice_gate is not None:
            assert self.voice_gate.wait(PATIENCE_SECONDS)
        if len(samples) < sample_rate // 10:
            raise ValueError("too short")
        return np.zeros((2, self.patch_size, self.feat_dim), dtype=np.float32)


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's error is: the engine knows it by its name."""


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


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


@pytest.fixture(scope="session")
def make_model() -> type[ToneModel]:
    return ToneModel


@pytest.fixture
def tone_loaded() -> Loaded:
    return TONE_LOADED


class EngineThread:
    """The engine's code in its own thread, and the other end of a real pipe to it."""

    def __init__(self, load: Callable[[EngineSettings], Any], settings: EngineSettings) -> None:
        ours, theirs = socket.socketpair()
        self.exit_codes: list[int] = []
        self.connection = Connection(ours.detach())
        self._thread = threading.Thread(target=self._serve, args=(Connection(theirs.detach()), load), daemon=True)
        self._thread.start()
        self.connection.send(settings)

    def _serve(self, engine_end: Connection, load: Any) -> None:
        try:
            self.exit_codes.append(serve_connection(engine_end, load))
        finally:  # not closed: its reading thread would read from the next file that gets the same number
            shut_down(engine_end)

    async def join(self) -> None:
        await asyncio.to_thread(self._thread.join, PATIENCE_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session")
def start_engine_thread() -> Callable[..., EngineThread]:
    def start(load: Callable[[EngineSettings], Any], **limits: int) -> EngineThread:
        bounds = Limits(**{"max_rows": 2, "max_waiting": 8, **limits})
        return EngineThread(load, EngineSettings(model_path=Path("/nowhere"), limits=bounds))

    return start


@dataclass
class SpeakingServer:
    """The real HTTP server on loopback, with the engine's code in a thread behind a real pipe."""

    service: SpeechService
    port: int
    model: ToneModel
    failures: list[Failure]
    kill_engine: Callable[[], None]
    http: QuietServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lifecycle(self) -> Lifecycle:
        return self.service.supervisor.lifecycle

    @property
    def load(self) -> Load:
        return self.service.tracker.load

    @property
    def metrics(self) -> Metrics:
        return self.service.tracker.metrics


def settings_for(**changes: Any) -> ServeSettings:
    return ServeSettings.model_validate({"model_path": "/nowhere", "device": "cpu", "dtype": "float32", **changes})


@asynccontextmanager
async def speaking_server(model: ToneModel, **changes: Any) -> AsyncIterator[SpeakingServer]:
    settings = settings_for(**changes)
    model_info = replace(TONE_LOADED, single_speaker=model.single_speaker)
    engine = EngineThread(lambda _: (model, model_info), engine_settings(settings))
    connection = engine.connection
    failures: list[Failure] = []
    keys = ApiKeys(settings.api_keys_file) if settings.api_keys_file else None
    service = make_service(settings, failures.append)
    client = EngineClient(connection, service.supervisor.observe)
    service.supervisor.attach(client)
    client.start()
    listening = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn_config(speech_app(service, keys)))
    serving = asyncio.create_task(server.serve([listening]))
    yield SpeakingServer(service, listening.getsockname()[1], model, failures, lambda: shut_down(connection), server)
    server.should_exit = True
    client.close()
    await asyncio.wait_for(serving, PATIENCE_SECONDS)
    await engine.join()


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a test polls from outside
            await asyncio.sleep(0.005)


@pytest.fixture
async def server(tone_model: ToneModel) -> AsyncIterator[SpeakingServer]:
    async with speaking_server(tone_model) as running:
        await until(lambda: running.lifecycle.is_ready)
        yield running


@pytest.fixture(scope="session")
def start_server() -> Callable[..., Any]:
    return speaking_server


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Configure logging as a server does; return a function that gives what was logged so far."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, root.handlers = root.handlers, []
    level = root.level
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("debug")
    yield stream.getvalue
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
