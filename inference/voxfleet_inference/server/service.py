"""The server's heart: the engine behind it, its voices, and the door for requests.

Knows: settings, load, metrics, who has a place, and how a checked request becomes speech.
Does not know: HTTP, sockets or how the engine is run.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from typing import Final

import structlog

from voxfleet_inference.admission.callers import ANONYMOUS, Caller
from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.admission.request_tracker import RequestTracker
from voxfleet_inference.engine.client import EngineClient, EngineError, VoiceBusyError
from voxfleet_inference.engine.messages import EngineGone, Idle, Loaded, Occupancy, Report, StepDone, VoicePrompt
from voxfleet_inference.errors import UnavailableError, UnknownModelError
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.engine_supervisor import EngineControl, EngineSupervisor, Failure
from voxfleet_inference.server.lifecycle import Lifecycle
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech, speak
from voxfleet_inference.telemetry.gpu import GpuReading
from voxfleet_inference.telemetry.speech_log import SpeechLog
from voxfleet_inference.text.plain_text import plain_text
from voxfleet_inference.text.sentences import TextSentence, split
from voxfleet_inference.voices.catalog import VoiceCatalog

_RETRY_WHILE_STARTING_SECONDS: Final = 5
_DRAWN_SEEDS: Final = 2**32  # short enough to type, and exact in every JSON parser
_EMPTY: Final = Occupancy(running=0, waiting=0)  # of an engine that is no more
_logger: Final = structlog.get_logger("voxfleet_inference")


class SpeechService:
    """What the HTTP side asks; lives on the event loop's thread."""

    def __init__(
        self, settings: ServeSettings, on_failure: Callable[[Failure], None], control: EngineControl | None = None
    ) -> None:
        self.settings = settings
        self.tracker = RequestTracker(settings)
        self.load, self.metrics, self.idle = self.tracker.load, self.tracker.metrics, self.tracker.idle
        self.gpu: GpuReading | None = None
        self.voices = VoiceCatalog(settings)
        self._supervisor = EngineSupervisor(settings, self.metrics, self.voices.make_default, on_failure, control)

    @property
    def engine(self) -> EngineClient:
        """The engine of this moment; another one takes its place when it dies."""
        return self._supervisor.engine

    @property
    def lifecycle(self) -> Lifecycle:
        """The server's state."""
        return self._supervisor.lifecycle

    @property
    def model_info(self) -> Loaded | None:
        """What the checkpoint is; None until it is loaded."""
        return self._supervisor.model_info

    @property
    def loaded_model_info(self) -> Loaded:
        """What the checkpoint is; known once it is loaded."""
        assert self.model_info is not None, "requests come in only when ready"  # noqa: S101
        return self.model_info

    @property
    def warm_seconds(self) -> float:
        """How long the warm-up sentence took."""
        return self._supervisor.warm_seconds

    def attach(self, engine: EngineClient) -> None:
        """Speak to this engine."""
        self._supervisor.attach(engine)

    def observe(self, report: Report) -> None:
        """Take in what the engine reports about itself."""
        self._supervisor.observe(report)
        match report:
            case StepDone():
                self.tracker.step_done(report, 1 / self.loaded_model_info.token_rate)
            case Idle():
                self.tracker.occupied(report.occupancy)
            case EngineGone():
                self.tracker.occupied(_EMPTY)

    async def watch_engine(self) -> None:
        """Look after the engine, for ever."""
        await self._supervisor.watch()

    def liveness_error(self) -> str:
        """Why this process should be killed; empty while it should live."""
        return self._supervisor.liveness_error(time.monotonic())

    def gpu_was_read(self, reading: GpuReading) -> None:
        """Take in how the GPU is."""
        self.gpu = reading
        self.metrics.gpu.read(reading)

    def drain(self, *, enabled: bool) -> None:
        """Stop, or resume, taking requests."""
        self._supervisor.drain(enabled=enabled)
        _logger.info("draining" if enabled else "draining ended", open_requests=self.load.open_requests)

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

    def check_model(self, model: str) -> None:
        """Whether this server has that model.

        Raises:
            UnknownModelError: it has another.
        """
        if model != self.settings.model_name:
            message = f"the model '{model}' does not exist; this server has '{self.settings.model_name}'"
            raise UnknownModelError(message, param="model", code="model_not_found")

    async def prepare(self, request: SpeechRequest, caller: Caller = ANONYMOUS) -> Speech:
        """What to speak for this request.

        Raises:
            InvalidFieldError: its voice or its recording cannot be used.
            UnavailableError: too many recordings are being read.
        """
        model_info = self.loaded_model_info
        timesteps, cfg_value = request.inference_timesteps, request.cfg_value
        return Speech(
            sentences=split(plain_text(request.input) if request.normalize else request.input),
            normalizes=request.normalize,
            seed=secrets.randbelow(_DRAWN_SEEDS) if request.seed is None else request.seed,
            cfg_value=self.settings.cfg_value if cfg_value is None else cfg_value,
            inference_timesteps=self.settings.inference_timesteps if timesteps is None else timesteps,
            voice=await self._voice(request),
            is_whole=not request.stream,
            speed=request.speed,
            max_parallel_sentences=self.settings.max_parallel_sentences,
            max_buffered_patches=max(1, int(self.settings.max_buffered_audio_seconds * model_info.token_rate)),
            priority=caller.priority,
            deadline_seconds=self.settings.max_request_seconds,
        )

    async def speak(
        self,
        speech: Speech,
        permit: Permit,
        more: AsyncIterable[TextSentence] | None = None,
        on_voice: Callable[[VoicePrompt], None] | None = None,
        asked: SpeechRequest | None = None,
    ) -> AsyncGenerator[SpeechEvent]:
        """Speak, count what is spoken and log it at the end; leaving the iteration cancels the rest.

        Raises:
            EngineError: a sentence failed; nothing more is spoken.
        """
        sample_rate = self.loaded_model_info.sample_rate
        log, outcome = SpeechLog(self.settings, speech, sample_rate, time.monotonic()), "left"
        try:
            async with aclosing(speak(self.engine, speech, sample_rate, more, on_voice)) as events:
                async for event in events:
                    log.take(event, self.metrics.speech)
                    if isinstance(event, SpeechAudio):
                        self.tracker.spoken(permit, len(event.samples) / sample_rate)
                    yield event
            outcome = "complete"
        except EngineError:
            outcome = "failed"
            raise
        finally:
            self._log_speech(log, outcome, asked)

    def request_opened(self, expected_seconds: float, caller: Caller = ANONYMOUS) -> Permit:
        """A place for a request that will probably take so many seconds of audio.

        Raises:
            UnavailableError: loading, failed, draining, or the server is full.
            TooManyRequestsError: this tenant's share is full.
        """
        self.check_ready()
        return self.tracker.opened(expected_seconds, caller)

    async def _voice(self, request: SpeechRequest) -> VoicePrompt | None:
        try:
            return await self.voices.choose(request, self.engine)
        except VoiceBusyError as error:
            raise UnavailableError(
                str(error), code="voices_busy", retry_after_seconds=self.tracker.retry_after_seconds()
            ) from error

    def _log_speech(self, log: SpeechLog, outcome: str, asked: SpeechRequest | None) -> None:
        now = time.monotonic()
        factor = log.real_time_factor(now)
        if asked is not None and outcome == "complete" and factor is not None:
            self.metrics.speech.real_time_factor.observe(factor)
        voice = "" if asked is None else self.voices.aliases.get(asked.voice, asked.voice)
        _logger.info("speech", **log.line(outcome, asked, voice, now))
