"""Supervises the engine: follows it from loading to ready, kills it when it stalls, restarts it when it died.

Knows: the lifecycle's phases, which phase each report of the engine leads to, how long a step may take, and how often
an engine may die before the server gives up.
Does not know: requests, HTTP, or how a process is started and killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from voxfleet_inference.admission.request_tracker import RequestTracker
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.engine.messages import EngineGone, Idle, Loaded, LoadFailed, Report, StepDone
from voxfleet_inference.engine.process import WRONG_WEIGHTS_EXIT_CODE
from voxfleet_inference.errors import UnavailableError
from voxfleet_inference.server.lifecycle import Lifecycle, Phase, recent_restarts
from voxfleet_inference.server.stall_watchdog import StallWatchdog
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.start_up import StartUp, process_started_at

ENGINE_GONE_EXIT_CODE: Final = 4
# How many times `allowed_step_seconds` a step may take. Loading has no steps; the first sentence may compile kernels.
_STEP_TIME_FACTORS: Final[Mapping[Phase, float]] = {Phase.WARMING: 10.0, Phase.READY: 1.0}
_DIE_SECONDS: Final = 10.0  # between a kill and the process's end, unless a driver holds it
_RETRY_WHILE_STARTING_SECONDS: Final = 5  # Retry-After: a small fraction of the time that loading weights takes
_logger: Final = structlog.get_logger("voxfleet_inference")

WarmUp = Callable[[EngineClient, Loaded], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EngineControl:
    """The two operations on the engine's process."""

    kill: Callable[[], None]
    restart: Callable[[], Awaitable[EngineClient]]  # waits for the killed process's end first


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server must exit, and its exit code."""

    message: str
    exit_code: int


class EngineSupervisor:
    """Holds the engine and the server's lifecycle; belongs to the event loop's thread."""

    def __init__(
        self,
        settings: ServeSettings,
        tracker: RequestTracker,
        warm_up: WarmUp,
        on_failure: Callable[[Failure], None],
        control: EngineControl | None,  # None: the process belongs to the caller, and is not restarted
    ) -> None:
        self.lifecycle = Lifecycle()
        self.loaded: Loaded | None = None  # the report; None until the weights are loaded
        self.start_up: StartUp | None = None  # of the first engine; None until the server was ready once
        self._process_started_at = process_started_at()
        self._settings, self._tracker, self._metrics = settings, tracker, tracker.metrics
        self._warm_up, self._on_failure, self._control = warm_up, on_failure, control
        self._engine: EngineClient | None = None
        self._watchdog = StallWatchdog(settings.allowed_step_seconds, time.monotonic())
        self._killed_at: float | None = None
        self._kill_reason = ""
        self._restarted_at: tuple[float, ...] = ()
        self._task: asyncio.Task[None] | None = None  # warms up, or restarts

    @property
    def engine(self) -> EngineClient:
        """The current engine's client; a restart replaces it, so callers must not keep it."""
        assert self._engine is not None, "attach() comes first"  # noqa: S101
        return self._engine

    @property
    def model_info(self) -> Loaded:
        """The checkpoint's rates and sizes; only valid after `check_ready`."""
        assert self.loaded is not None, "no request is admitted before the weights are loaded"  # noqa: S101
        return self.loaded

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the checkpoint names; none before it is loaded."""
        return self.loaded.languages if self.loaded is not None else ()

    def attach(self, engine: EngineClient) -> None:
        """Use this engine from now on."""
        self._engine = engine
        self._watchdog.record_idle(time.monotonic())
        self._killed_at, self._kill_reason = None, ""

    def observe(self, report: Report) -> None:
        """Apply a report of the engine to the lifecycle, the watchdog and the metrics."""
        self._tracker.observe(report)
        match report:
            case StepDone():
                self._watchdog.record_step(time.monotonic())
            case Idle():
                self._watchdog.record_idle(time.monotonic())
            case Loaded():
                self._check_model_info(report)
            case LoadFailed():
                self.fail(Failure(report.message, WRONG_WEIGHTS_EXIT_CODE))
            case EngineGone():
                self._replace(report.message)

    def check_ready(self) -> None:
        """Check that new requests are admitted.

        Raises:
            UnavailableError: loading, warming, failed or draining.
        """
        if not self.lifecycle.is_ready:
            message = f"not ready ({self.lifecycle.state}): {self.lifecycle.message}"
            raise UnavailableError(
                message, code=self.lifecycle.state, retry_after_seconds=_RETRY_WHILE_STARTING_SECONDS
            )

    def drain(self, *, enabled: bool) -> None:
        """Stop admitting requests, or admit them again; open requests continue."""
        self.lifecycle = self.lifecycle.draining(enabled=enabled)
        self._metrics.ready.set(self.lifecycle.is_ready)
        _logger.info("draining" if enabled else "draining_ended", open_requests=self._tracker.load.open_requests)

    def liveness_error(self, now: float) -> str:
        """Return why this process should be killed; empty while it should live."""
        if self.lifecycle.phase is Phase.FAILED:
            return self.lifecycle.message
        return self._stall(now)

    async def watch(self) -> None:
        """Check the engine at the watchdog's interval until cancelled."""
        while True:
            self.check(time.monotonic())
            await asyncio.sleep(self._watchdog.check_interval_seconds)

    def check(self, now: float) -> None:
        """Kill a stalled engine; its `EngineGone` then restarts it as after any other death."""
        self._watchdog.record_check(now)
        stall = self._stall(now)
        if not stall or self._control is None:
            return
        if self._killed_at is None:
            _logger.error("engine_killed", reason=stall)
            self._killed_at, self._kill_reason = now, f"{stall}; it was killed"
            self._control.kill()
        elif now - self._killed_at > _DIE_SECONDS:
            self.fail(Failure(f"{stall}, and its process does not end after a kill", ENGINE_GONE_EXIT_CODE))

    def _stall(self, now: float) -> str:
        """Return a message when work has been due for longer than the phase allows; else empty."""
        factor = _STEP_TIME_FACTORS.get(self.lifecycle.phase)
        if factor is None:
            return ""
        stalled_seconds = self._watchdog.stalled_seconds(now, self.engine.oldest_pending_at)
        limit_seconds = factor * self._watchdog.allowed_seconds
        if stalled_seconds <= limit_seconds:
            return ""
        return (
            f"the engine has taken no step for {stalled_seconds:.1f} s although it has work; the limit is"
            f" {limit_seconds:g} s (--max-step-seconds)"
        )

    def fail(self, failure: Failure) -> None:
        """Enter the final phase and report the failure; only the first one counts."""
        if self.lifecycle.phase is not Phase.FAILED:
            self._enter(Phase.FAILED, failure.message)
            self._on_failure(failure)

    def _replace(self, message: str) -> None:
        """Restart an engine whose process is gone, unless the limit of restarts is reached."""
        self.engine.close()
        if self._task is not None:
            self._task.cancel()  # a warm-up of the engine that died
        if self.lifecycle.phase is Phase.FAILED:
            return
        now, reason = time.monotonic(), self._kill_reason or message
        restarts = recent_restarts(self._restarted_at, now)
        if self._control is None or len(restarts) >= self._settings.max_engine_restarts:
            self.fail(Failure(reason, ENGINE_GONE_EXIT_CODE))
            return
        self._restarted_at = (*restarts, now)
        self._metrics.engine_restarts.inc()
        self._enter(Phase.LOADING, f"{reason}; another one is being started")
        self._task = asyncio.create_task(self._restart(self._control))

    async def _restart(self, control: EngineControl) -> None:
        try:
            self.attach(await control.restart())
        except OSError as error:
            self.fail(Failure(f"the engine process cannot be restarted: {error}", ENGINE_GONE_EXIT_CODE))

    def _check_model_info(self, model_info: Loaded) -> None:
        self.loaded = model_info
        self._metrics.loaded_seconds.set(model_info.loaded_seconds)
        mismatch = _mismatch(self._settings, model_info)
        if mismatch:
            self.fail(Failure(mismatch, WRONG_WEIGHTS_EXIT_CODE))
            return
        self._enter(Phase.WARMING)
        self._task = asyncio.create_task(self._warm(model_info))

    async def _warm(self, model_info: Loaded) -> None:
        """Speak one sentence: it runs every code path once, and its audio becomes the built-in voice."""
        started = time.monotonic()
        try:
            await self._warm_up(self.engine, model_info)
        except EngineError as error:
            self.fail(Failure(f"the warm-up sentence failed: {error}", ENGINE_GONE_EXIT_CODE))
            return
        ready_at = time.monotonic()
        self._metrics.warm_seconds.set(ready_at - started)
        if self.start_up is None:
            load_started_at = self.model_info.load_started_at
            loaded_at = load_started_at + self.model_info.loaded_seconds
            self.start_up = StartUp(self._process_started_at, load_started_at, loaded_at, ready_at)
            self._metrics.process_seconds.set(load_started_at - self._process_started_at)
        self._enter(Phase.READY)

    def _enter(self, phase: Phase, message: str = "") -> None:
        self.lifecycle = self.lifecycle.entered(phase, message)
        self._metrics.ready.set(self.lifecycle.is_ready)
        _logger.info("state", state=self.lifecycle.state, message=self.lifecycle.message)


def _mismatch(settings: ServeSettings, model_info: Loaded) -> str:
    """Return how the checkpoint differs from the rates in the settings; empty when it does not."""
    expectations = (
        ("--sample-rate", settings.sample_rate, model_info.sample_rate),
        ("--token-rate", settings.token_rate, model_info.token_rate),
    )
    wrong = [
        f"{flag} is {expected:g}, but the checkpoint {settings.model_path} has {found:g}"
        for flag, expected, found in expectations
        if expected is not None and abs(expected - found) > 1e-6 * found  # rates like 6.25 are given rounded
    ]
    return "; ".join(wrong)
