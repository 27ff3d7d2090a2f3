"""Keeps an engine behind the server: loading, warming, ready; ended when it hangs, and started again when it died.

Knows: the lifecycle's phases, what each of the engine's reports about itself means for them, how long a step may take,
and how often an engine may die before the server gives up.
Does not know: requests, HTTP, or how a process is started and ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from voxfleet_inference.engine.client import EngineClient, EngineError
from voxfleet_inference.engine.messages import EngineGone, Idle, Loaded, LoadFailed, Report, StepDone
from voxfleet_inference.engine.process import WRONG_WEIGHTS_EXIT_CODE
from voxfleet_inference.server.lifecycle import Lifecycle, Phase, lately_restarted
from voxfleet_inference.server.stall_watchdog import StallWatchdog
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.metrics import Metrics

ENGINE_GONE_EXIT_CODE: Final = 4
# How many times the usual a step may take. Loading has no steps; the first sentence may find code yet to be compiled.
_PATIENCE: Final[Mapping[Phase, float]] = {Phase.WARMING: 10.0, Phase.READY: 1.0}
_DIE_SECONDS: Final = 10.0  # between a kill and its effect, unless a driver holds the process
_logger: Final = structlog.get_logger("voxfleet_inference")

WarmUp = Callable[[EngineClient], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EngineControl:
    """What can be done to the engine's process from outside."""

    kill: Callable[[], None]
    restart: Callable[[], Awaitable[EngineClient]]  # once the old one is gone


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server must end, and its exit code."""

    message: str
    exit_code: int


class EngineSupervisor:
    """Where the engine stands; lives on the event loop's thread."""

    def __init__(
        self,
        settings: ServeSettings,
        metrics: Metrics,
        warm_up: WarmUp,
        on_failure: Callable[[Failure], None],
        control: EngineControl | None,
    ) -> None:
        self.lifecycle = Lifecycle()
        self.model_info: Loaded | None = None
        self.warm_seconds = 0.0
        self._settings, self._metrics = settings, metrics
        self._warm_up, self._on_failure, self._control = warm_up, on_failure, control
        self._engine: EngineClient | None = None
        self._steps = StallWatchdog(settings.allowed_step_seconds, time.monotonic())
        self._killed_at: float | None = None
        self._killed_for = ""
        self._restarted_at: tuple[float, ...] = ()
        self._work: asyncio.Task[None] | None = None  # warming up, or starting anew

    @property
    def engine(self) -> EngineClient:
        """The engine, which is there from the start; it may be another one after a failure."""
        assert self._engine is not None, "attach() comes first"  # noqa: S101
        return self._engine

    def attach(self, engine: EngineClient) -> None:
        """Speak to this engine."""
        self._engine = engine
        self._steps.rested(time.monotonic())
        self._killed_at, self._killed_for = None, ""

    def observe(self, report: Report) -> None:
        """Take in what the engine reports about itself."""
        match report:
            case StepDone():
                self._steps.stepped(time.monotonic())
            case Idle():
                self._steps.rested(time.monotonic())
            case Loaded():
                self._check_model_info(report)
            case LoadFailed():
                self.fail(Failure(report.message, WRONG_WEIGHTS_EXIT_CODE))
            case EngineGone():
                self._lost(report.message)

    def drain(self, *, enabled: bool) -> None:
        """Stop, or resume, being ready."""
        self.lifecycle = self.lifecycle.draining(enabled=enabled)
        self._metrics.ready.set(self.lifecycle.is_ready)

    def liveness_error(self, now: float) -> str:
        """Why this process should be killed; empty while it should live."""
        if self.lifecycle.phase is Phase.FAILED:
            return self.lifecycle.message
        return self._stall(now)

    async def watch(self) -> None:
        """Look after the engine, for ever."""
        while True:
            self.look(time.monotonic())
            await asyncio.sleep(self._steps.look_seconds)

    def look(self, now: float) -> None:
        """End an engine that has stopped working; its death is then a death like any other."""
        self._steps.look(now)
        stall = self._stall(now)
        if not stall or self._control is None:
            return
        if self._killed_at is None:
            _logger.error("the engine is ended", reason=stall)
            self._killed_at, self._killed_for = now, f"{stall}; it was ended"
            self._control.kill()
        elif now - self._killed_at > _DIE_SECONDS:
            self.fail(Failure(f"{stall}, and its process cannot be ended", ENGINE_GONE_EXIT_CODE))

    def _stall(self, now: float) -> str:
        """For how long the engine has owed a step or an answer, if that is too long; else nothing."""
        patience = _PATIENCE.get(self.lifecycle.phase)
        if patience is None:
            return ""
        owed_seconds = self._steps.owed_seconds(now, self.engine.oldest_pending_at)
        if owed_seconds <= patience * self._steps.allowed_seconds:
            return ""
        return f"the engine has taken no step for {owed_seconds:.1f} s although there was something to do"

    def fail(self, failure: Failure) -> None:
        """The model cannot speak, and will not: say why, once."""
        if self.lifecycle.phase is not Phase.FAILED:
            self._enter(Phase.FAILED, failure.message)
            self._on_failure(failure)

    def _lost(self, message: str) -> None:
        """The engine's process is gone: start another, unless that happens too often."""
        self.engine.close()
        if self._work is not None:
            self._work.cancel()
        if self.lifecycle.phase is Phase.FAILED:
            return
        now, reason = time.monotonic(), self._killed_for or message
        restarts = lately_restarted(self._restarted_at, now)
        if self._control is None or len(restarts) >= self._settings.max_engine_restarts:
            self.fail(Failure(reason, ENGINE_GONE_EXIT_CODE))
            return
        self._restarted_at = (*restarts, now)
        self._metrics.engine_restarts.inc()
        self._enter(Phase.LOADING, f"{reason}; another one is being started")
        self._work = asyncio.create_task(self._start_anew(self._control))

    async def _start_anew(self, control: EngineControl) -> None:
        try:
            self.attach(await control.restart())
        except OSError as error:
            self.fail(Failure(f"the engine process cannot be started again: {error}", ENGINE_GONE_EXIT_CODE))

    def _check_model_info(self, model_info: Loaded) -> None:
        self.model_info = model_info
        self._metrics.loaded_seconds.set(model_info.loaded_seconds)
        mismatch = _mismatch(self._settings, model_info)
        if mismatch:
            self.fail(Failure(mismatch, WRONG_WEIGHTS_EXIT_CODE))
            return
        self._enter(Phase.WARMING)
        self._work = asyncio.create_task(self._warm())

    async def _warm(self) -> None:
        """Speak one sentence: it warms every code path, and it is the built-in voice."""
        started = time.monotonic()
        try:
            await self._warm_up(self.engine)
        except EngineError as error:
            self.fail(Failure(f"the warm-up sentence failed: {error}", ENGINE_GONE_EXIT_CODE))
            return
        self.warm_seconds = time.monotonic() - started
        self._metrics.warm_seconds.set(self.warm_seconds)
        self._enter(Phase.READY)

    def _enter(self, phase: Phase, message: str = "") -> None:
        self.lifecycle = self.lifecycle.entered(phase, message)
        self._metrics.ready.set(self.lifecycle.is_ready)
        _logger.info("state", state=self.lifecycle.state, message=self.lifecycle.message)


def _mismatch(settings: ServeSettings, model_info: Loaded) -> str:
    """What the operator of this server expected of the checkpoint and did not get; empty when all is well."""
    expectations = (
        ("--sample-rate", settings.sample_rate, model_info.sample_rate),
        ("--token-rate", settings.token_rate, model_info.token_rate),
    )
    wrong = [
        f"{flag} is {expected:g}, but the checkpoint {settings.model_path} has {found:g}"
        for flag, expected, found in expectations
        if expected is not None and abs(expected - found) > 1e-6 * found
    ]
    return "; ".join(wrong)
