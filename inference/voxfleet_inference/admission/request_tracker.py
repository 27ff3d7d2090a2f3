"""Request accounting: admission, open requests, load report, metrics.

Knows: the limits, what each request and each report of the engine changes in load and metrics, and `Retry-After`.
Does not know: HTTP, speech, or whether the server is ready; callers check that first.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Final

from voxfleet_inference.admission.callers import ANONYMOUS, Caller
from voxfleet_inference.admission.request_limiter import Bounds, LimitScope, Permit, Rejection, RequestLimiter
from voxfleet_inference.engine.messages import EngineGone, Idle, Loaded, Occupancy, Report, StepDone
from voxfleet_inference.errors import TooManyRequestsError, UnavailableError
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.load import Load
from voxfleet_inference.telemetry.metrics import Metrics, RequestOutcome

_EMPTY: Final = Occupancy(running=0, waiting=0)  # of an engine whose process has ended


class RequestTracker:
    """Counts each request once when it opens and once when it ends; belongs to the event loop's thread."""

    def __init__(self, settings: ServeSettings) -> None:
        self.load = Load()
        self.metrics = Metrics()
        self.metrics.describe(settings)
        self.idle = asyncio.Event()  # set while no request is open
        self.idle.set()
        self._limiter = RequestLimiter(_bounds(settings))
        self._patch_seconds = 0.0  # of the loaded model
        self.metrics.queued_audio_seconds.set_function(lambda: self._limiter.demand.audio_seconds)

    def opened(self, expected_seconds: float, caller: Caller = ANONYMOUS) -> Permit:
        """Admit a request of about `expected_seconds` of audio; its permit goes to `ended` in the end.

        Raises:
            UnavailableError: the server's limit is reached.
            TooManyRequestsError: this tenant's share is reached.
        """
        permit = self._limiter.admit(caller, expected_seconds, time.monotonic())
        if isinstance(permit, Rejection):  # not counted here: the caller counts every rejection, of any kind
            retry_after = self.retry_after_seconds()
            if permit.full is LimitScope.TENANT:
                raise TooManyRequestsError(permit.message, code="rate_limit_exceeded", retry_after_seconds=retry_after)
            raise UnavailableError(permit.message, code="queue_full", retry_after_seconds=retry_after)
        self.idle.clear()
        self._update_demand()
        return permit

    def more_expected(self, permit: Permit, seconds: float) -> None:
        """Add the audio expected of text that an open request has added."""
        self._limiter.expect(permit, seconds)
        self._update_demand()

    def spoken(self, permit: Permit, seconds: float) -> None:
        """Subtract audio that has been made from what a request waits for."""
        self._limiter.spoken(permit, seconds)
        self.load.queued_audio_seconds = self._limiter.demand.audio_seconds

    def first_audio_sent(self, seconds: float) -> None:
        """Record one request's time to its first byte of audio."""
        self.load.first_audio(seconds)
        self.metrics.first_audio_seconds.observe(seconds)

    def client_left(self) -> None:
        """Count an open request whose client disconnected; `ended` follows."""
        self.metrics.cancelled_requests.inc()

    def ended(self, permit: Permit, status: int, outcome: RequestOutcome) -> None:
        """Release a request's permit and count the request by status and outcome."""
        self._limiter.leave(permit)
        self._update_demand()
        if not self.load.open_requests:
            self.idle.set()
        self.load.last_request_finished_at = datetime.now(UTC)
        self.metrics.requests.labels(str(status), outcome).inc()

    def rejected(self, status: int) -> None:
        """Count a request that was rejected before it opened."""
        self.metrics.requests.labels(str(status), RequestOutcome.REJECTED).inc()

    def observe(self, report: Report) -> None:
        """Record what a report of the engine says about steps and occupancy."""
        match report:
            case Loaded():
                self._patch_seconds = 1 / report.token_rate
            case StepDone():
                audio_seconds = len(report.patches) * self._patch_seconds
                self.load.step_done(time.monotonic(), report.step_seconds, audio_seconds)
                self.metrics.steps.count(report, audio_seconds)
                self._occupied(report.occupancy)
            case Idle():
                self._occupied(report.occupancy)
            case EngineGone():
                self._occupied(_EMPTY)

    def retry_after_seconds(self) -> int:
        """Return `Retry-After` for a request that is rejected now."""
        return self.load.retry_after_seconds(time.monotonic())

    def _occupied(self, occupancy: Occupancy) -> None:
        self.load.occupied(occupancy)
        self.metrics.steps.occupied(occupancy)

    def _update_demand(self) -> None:
        demand = self._limiter.demand
        self.load.open_requests, self.load.queued_audio_seconds = demand.requests, demand.audio_seconds
        self.metrics.open_requests.set(demand.requests)


def _bounds(settings: ServeSettings) -> Bounds:
    return Bounds(
        max_requests=settings.max_batch_size + settings.max_queued_requests,
        max_audio_seconds=settings.max_queued_audio_seconds,
        max_tenant_share=settings.max_tenant_share,
    )
