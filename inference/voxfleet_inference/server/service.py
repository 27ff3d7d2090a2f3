"""The server's heart: the engine behind it, its state, its voices, and the door for requests.

Knows: settings, lifecycle, load, metrics, and how a checked request becomes speech.
Does not know: HTTP, sockets or how the engine is run.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from voxfleet_inference.engine.client import EngineClient, EngineError, VoiceBusyError
from voxfleet_inference.engine.messages import EngineGone, Loaded, LoadFailed, Report, StepDone, VoicePrompt
from voxfleet_inference.engine.process import WRONG_WEIGHTS_EXIT_CODE
from voxfleet_inference.server.errors import UnavailableError, UnknownModelError
from voxfleet_inference.server.lifecycle import Lifecycle, Phase
from voxfleet_inference.server.speech_request import SpeechRequest
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.speaking import Speech
from voxfleet_inference.telemetry.load import Load
from voxfleet_inference.telemetry.metrics import Metrics
from voxfleet_inference.text.sentences import split
from voxfleet_inference.voices.catalog import Voices

ENGINE_GONE_EXIT_CODE: Final = 4
_RETRY_WHILE_STARTING_SECONDS: Final = 5
_DRAWN_SEEDS: Final = 2**32  # short enough to type, and exact in every JSON parser
_logger: Final = structlog.get_logger("voxfleet_inference")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server must end, and its exit code."""

    message: str
    exit_code: int


class SpeechService:
    """What the HTTP side asks; lives on the event loop's thread."""

    def __init__(self, settings: ServeSettings, on_failure: Callable[[Failure], None]) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.load = Load()
        self.metrics = Metrics()
        self.facts: Loaded | None = None
        self.warm_seconds = 0.0
        self.idle = asyncio.Event()  # set while no request is open
        self.idle.set()
        self._engine: EngineClient | None = None
        self._on_failure = on_failure
        self.voices = Voices(settings)
        self._warming: asyncio.Task[None] | None = None

    @property
    def engine(self) -> EngineClient:
        """The engine, which is there from the start."""
        assert self._engine is not None, "attach() comes first"  # noqa: S101
        return self._engine

    def attach(self, engine: EngineClient) -> None:
        """Speak to this engine."""
        self._engine = engine

    def observe(self, report: Report) -> None:
        """Take in what the engine reports about itself."""
        match report:
            case StepDone():
                self._count_step(report)
            case Loaded():
                self._take_facts(report)
            case LoadFailed():
                self._fail(Failure(report.message, WRONG_WEIGHTS_EXIT_CODE))
            case EngineGone():
                self._fail(Failure(report.message, ENGINE_GONE_EXIT_CODE))

    def drain(self, *, wished: bool) -> None:
        """Stop, or resume, taking requests."""
        self.lifecycle = self.lifecycle.draining(wished=wished)
        self.metrics.ready.set(self.lifecycle.is_ready)
        _logger.info("draining" if wished else "draining ended", open_requests=self.load.open_requests)

    def check_ready(self) -> None:
        """Whether the model can be asked for anything now.

        Raises:
            UnavailableError: loading, failed or draining.
        """
        if not self.lifecycle.is_ready:
            message = f"not ready ({self.lifecycle.state}): {self.lifecycle.message}"
            raise UnavailableError(
                message, code=self.lifecycle.state, retry_after_seconds=_RETRY_WHILE_STARTING_SECONDS
            )

    def check_open(self) -> None:
        """Whether a request may come in now.

        Raises:
            UnavailableError: loading, failed, draining or full.
        """
        self.check_ready()
        room = self.settings.max_batch_size + self.settings.max_queued_requests
        if self.load.open_requests >= room:
            raise UnavailableError(
                f"the server is full: {self.load.open_requests} requests are open, {room} are taken",
                code="queue_full",
                retry_after_seconds=self.load.retry_after_seconds(time.monotonic()),
            )

    def check_model(self, model: str) -> None:
        """Whether this server has that model.

        Raises:
            UnknownModelError: it has another.
        """
        if model != self.settings.model_name:
            message = f"the model '{model}' does not exist; this server has '{self.settings.model_name}'"
            raise UnknownModelError(message, param="model", code="model_not_found")

    async def prepare(self, request: SpeechRequest) -> Speech:
        """What to speak for this request.

        Raises:
            InvalidFieldError: its voice or its recording cannot be used.
            UnavailableError: too many recordings are being read.
        """
        facts = self.loaded_facts
        timesteps, cfg_value = request.inference_timesteps, request.cfg_value
        return Speech(
            sentences=split(request.input),
            seed=secrets.randbelow(_DRAWN_SEEDS) if request.seed is None else request.seed,
            cfg_value=self.settings.cfg_value if cfg_value is None else cfg_value,
            inference_timesteps=self.settings.inference_timesteps if timesteps is None else timesteps,
            voice=await self._voice(request),
            is_whole=not request.stream,
            speed=request.speed,
            max_parallel_sentences=self.settings.max_parallel_sentences,
            max_buffered_patches=max(1, int(self.settings.max_buffered_audio_seconds * facts.token_rate)),
        )

    @property
    def loaded_facts(self) -> Loaded:
        """What the checkpoint is; known once it is loaded."""
        assert self.facts is not None, "requests come in only when ready"  # noqa: S101
        return self.facts

    def request_opened(self, expected_seconds: float) -> None:
        """Count a request in."""
        self.load.open_requests += 1
        self.idle.clear()
        self.load.queued_audio_seconds += expected_seconds
        self.metrics.open_requests.set(self.load.open_requests)

    def request_ended(self, expected_seconds: float, status: int, outcome: str) -> None:
        """Count a request out."""
        self.load.open_requests -= 1
        if not self.load.open_requests:
            self.idle.set()
        self.load.queued_audio_seconds = max(0.0, self.load.queued_audio_seconds - expected_seconds)
        self.load.last_request_finished_at = datetime.now(UTC)
        self.metrics.open_requests.set(self.load.open_requests)
        self.metrics.requests.labels(str(status), outcome).inc()

    def request_refused(self, status: int) -> None:
        """Count a request that never came in."""
        self.metrics.requests.labels(str(status), "refused").inc()

    def first_audio_sent(self, seconds: float) -> None:
        """Count one wait for the first byte."""
        self.load.first_audio(seconds)
        self.metrics.first_audio_seconds.observe(seconds)

    async def _voice(self, request: SpeechRequest) -> VoicePrompt | None:
        try:
            return await self.voices.choose(request, self.engine)
        except VoiceBusyError as error:
            retry_after = self.load.retry_after_seconds(time.monotonic())
            raise UnavailableError(str(error), code="voices_busy", retry_after_seconds=retry_after) from error

    def _count_step(self, step: StepDone) -> None:
        audio_seconds = len(step.patches) / self.loaded_facts.token_rate
        self.load.step_done(time.monotonic(), step.step_seconds, audio_seconds)
        self.load.running_sequences, self.load.waiting_sequences = step.running, step.waiting
        self.metrics.steps.inc()
        self.metrics.step_seconds.observe(step.step_seconds)
        self.metrics.audio_seconds.inc(audio_seconds)
        self.metrics.running_sequences.set(step.running)
        self.metrics.waiting_sequences.set(step.waiting)

    def _take_facts(self, facts: Loaded) -> None:
        self.facts = facts
        self.metrics.loaded_seconds.set(facts.loaded_seconds)
        mismatch = _mismatch(self.settings, facts)
        if mismatch:
            self._fail(Failure(mismatch, WRONG_WEIGHTS_EXIT_CODE))
            return
        self._enter(Phase.WARMING)
        self._warming = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        """Speak one sentence: it warms every code path, and it is the built-in voice."""
        started = time.monotonic()
        try:
            await self.voices.make_default(self.engine)
        except EngineError as error:
            self._fail(Failure(f"the warm-up sentence failed: {error}", ENGINE_GONE_EXIT_CODE))
            return
        self.warm_seconds = time.monotonic() - started
        self.metrics.warm_seconds.set(self.warm_seconds)
        self._enter(Phase.READY)

    def _fail(self, failure: Failure) -> None:
        """The model cannot speak, and will not: say why, once."""
        if self.lifecycle.phase is not Phase.FAILED:
            self._enter(Phase.FAILED, failure.message)
            self._on_failure(failure)

    def _enter(self, phase: Phase, failure: str = "") -> None:
        self.lifecycle = self.lifecycle.entered(phase, failure)
        self.metrics.ready.set(self.lifecycle.is_ready)
        _logger.info("state", state=self.lifecycle.state, message=self.lifecycle.message)


def _mismatch(settings: ServeSettings, facts: Loaded) -> str:
    """What the operator of this server expected of the checkpoint and did not get; empty when all is well."""
    expectations = (
        ("--sample-rate", settings.sample_rate, facts.sample_rate),
        ("--token-rate", settings.token_rate, facts.token_rate),
    )
    wrong = [
        f"{flag} is {expected:g}, but the checkpoint {settings.model_path} has {found:g}"
        for flag, expected, found in expectations
        if expected is not None and abs(expected - found) > 1e-6 * found
    ]
    return "; ".join(wrong)
