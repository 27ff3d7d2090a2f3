"""Keeps an engine behind the server: loading, warming, ready, and started again when it died.

Knows: the lifecycle's phases, what each of the engine's reports about itself means for them, how often an engine may
die before the server gives up, and when an engine that still lives has stopped working.
Does not know: requests, HTTP, or how a process is started.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from voxfleet_inference.engine.client import EngineClient, EngineError
from voxfleet_inference.engine.messages import EngineGone, Loaded, LoadFailed, Report, StepDone
from voxfleet_inference.engine.process import WRONG_WEIGHTS_EXIT_CODE
from voxfleet_inference.server.lifecycle import Lifecycle, Phase, lately_restarted, stalled_seconds
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.metrics import Metrics

ENGINE_GONE_EXIT_CODE: Final = 4
_logger: Final = structlog.get_logger("voxfleet_inference")

WarmUp = Callable[[EngineClient], Awaitable[None]]
Revive = Callable[[], Awaitable[EngineClient]]


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
        revive: Revive | None,
    ) -> None:
        self.lifecycle = Lifecycle()
        self.facts: Loaded | None = None
        self.warm_seconds = 0.0
        self._settings, self._metrics = settings, metrics
        self._warm_up, self._on_failure, self._revive = warm_up, on_failure, revive
        self._engine: EngineClient | None = None
        self._last_step_at, self._active_rows = time.monotonic(), 0
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

    def observe(self, report: Report) -> None:
        """Take in what the engine reports about itself."""
        match report:
            case StepDone():
                self._last_step_at, self._active_rows = time.monotonic(), report.running - report.parked
            case Loaded():
                self._take_facts(report)
            case LoadFailed():
                self.fail(Failure(report.message, WRONG_WEIGHTS_EXIT_CODE))
            case EngineGone():
                self._lost(report.message)

    def drain(self, *, wished: bool) -> None:
        """Stop, or resume, being ready."""
        self.lifecycle = self.lifecycle.draining(wished=wished)
        self._metrics.ready.set(self.lifecycle.is_ready)

    def trouble(self, now: float) -> str:
        """Why this process should be killed; empty while it should live."""
        if self.lifecycle.phase is Phase.FAILED:
            return self.lifecycle.message
        if self.lifecycle.phase is Phase.LOADING:
            return ""
        stalled = stalled_seconds(now, self.engine.active_since(), self._last_step_at, self._active_rows)
        if stalled <= self._settings.allowed_step_seconds:
            return ""
        return f"the engine has taken no step for {stalled:.1f} s although sentences wait to be spoken"

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
        now = time.monotonic()
        restarts = lately_restarted(self._restarted_at, now)
        if self._revive is None or len(restarts) >= self._settings.max_engine_restarts:
            self.fail(Failure(message, ENGINE_GONE_EXIT_CODE))
            return
        self._restarted_at = (*restarts, now)
        self._metrics.engine_restarts.inc()
        self._enter(Phase.LOADING, f"{message}; another one is being started")
        self._work = asyncio.create_task(self._start_anew(self._revive))

    async def _start_anew(self, revive: Revive) -> None:
        try:
            self.attach(await revive())
        except OSError as error:
            self.fail(Failure(f"the engine process cannot be started again: {error}", ENGINE_GONE_EXIT_CODE))

    def _take_facts(self, facts: Loaded) -> None:
        self.facts = facts
        self._metrics.loaded_seconds.set(facts.loaded_seconds)
        mismatch = _mismatch(self._settings, facts)
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
