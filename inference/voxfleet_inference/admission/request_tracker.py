"""The books of a server: who has a place, what is owed to them, and every figure that is told about it.

Knows: the bounds, the load that gateways are told, the metrics, and that an unready server's doors are somebody else's.
Does not know: HTTP, engines or speech.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from voxfleet_inference.admission.callers import ANONYMOUS, Caller
from voxfleet_inference.admission.request_limiter import Bounds, LimitScope, Permit, Rejection, RequestLimiter
from voxfleet_inference.engine.messages import Occupancy, StepDone
from voxfleet_inference.errors import TooManyRequestsError, UnavailableError
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.load import Load
from voxfleet_inference.telemetry.metrics import Metrics


class RequestTracker:
    """Counts requests in and out; lives on the event loop's thread."""

    def __init__(self, settings: ServeSettings) -> None:
        self.load = Load()
        self.metrics = Metrics()
        self.metrics.describe(settings)
        self.idle = asyncio.Event()  # set while no request is open
        self.idle.set()
        self._limiter = RequestLimiter(_bounds(settings))
        self.metrics.queued_audio_seconds.set_function(lambda: self._limiter.demand.audio_seconds)

    def opened(self, expected_seconds: float, caller: Caller = ANONYMOUS) -> Permit:
        """A place for a request that will probably take so many seconds of audio.

        Raises:
            UnavailableError: the server is full.
            TooManyRequestsError: this tenant's share is full.
        """
        permit = self._limiter.admit(caller, expected_seconds, time.monotonic())
        if isinstance(permit, Rejection):
            retry_after = self.retry_after_seconds()
            if permit.full is LimitScope.TENANT:
                raise TooManyRequestsError(permit.message, code="rate_limit_exceeded", retry_after_seconds=retry_after)
            raise UnavailableError(permit.message, code="queue_full", retry_after_seconds=retry_after)
        self.idle.clear()
        self._tell_demand()
        return permit

    def more_expected(self, permit: Permit, seconds: float) -> None:
        """An open request has brought more text."""
        self._limiter.expect(permit, seconds)
        self._tell_demand()

    def spoken(self, permit: Permit, seconds: float) -> None:
        """So much of what a request waits for has been made."""
        self._limiter.spoken(permit, seconds)
        self.load.queued_audio_seconds = self._limiter.demand.audio_seconds

    def ended(self, permit: Permit, status: int, outcome: str) -> None:
        """Give a request's place back."""
        self._limiter.leave(permit)
        self._tell_demand()
        if not self.load.open_requests:
            self.idle.set()
        self.load.last_request_finished_at = datetime.now(UTC)
        self.metrics.requests.labels(str(status), outcome).inc()

    def refused(self, status: int) -> None:
        """Count a request that never came in."""
        self.metrics.requests.labels(str(status), "refused").inc()

    def first_audio_sent(self, seconds: float) -> None:
        """Count one wait for the first byte."""
        self.load.first_audio(seconds)
        self.metrics.first_audio_seconds.observe(seconds)

    def step_done(self, step: StepDone, patch_seconds: float) -> None:
        """Count one step of the engine."""
        audio_seconds = len(step.patches) * patch_seconds
        self.load.step_done(time.monotonic(), step.step_seconds, audio_seconds)
        self.metrics.steps.count(step, audio_seconds)
        self.occupied(step.occupancy)

    def occupied(self, occupancy: Occupancy) -> None:
        """Take in how full the engine is, after a step or without one."""
        self.load.running_sequences, self.load.waiting_sequences = occupancy.running, occupancy.waiting
        self.load.parked_sequences = occupancy.parked
        self.metrics.steps.occupied(occupancy)

    def retry_after_seconds(self) -> int:
        """When who is refused now may find room."""
        return self.load.retry_after_seconds(time.monotonic())

    def _tell_demand(self) -> None:
        demand = self._limiter.demand
        self.load.open_requests, self.load.queued_audio_seconds = demand.requests, demand.audio_seconds
        self.metrics.open_requests.set(demand.requests)


def _bounds(settings: ServeSettings) -> Bounds:
    return Bounds(
        max_requests=settings.max_batch_size + settings.max_queued_requests,
        max_audio_seconds=settings.max_queued_audio_seconds,
        max_tenant_share=settings.max_tenant_share,
    )
