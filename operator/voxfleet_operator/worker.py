"""The worker loop: takes one key from the queue, reconciles it, and requeues it when due or after a failure.

Knows which exceptions are expected. Does not know what a reconcile does.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.telemetry import Metrics
from voxfleet_operator.work_queue import WorkQueue

REASONS = {
    0: "unreachable",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "invalid",
    429: "throttled",
}
SERVER_ERROR = 500  # the first of HTTP's
ERROR_REASONS = (*REASONS.values(), "server_error", "rejected", "name_taken", "unexpected")
RESULTS = ("ok", "error", "broken")

KeyT = TypeVar("KeyT")
KeyT_contra = TypeVar("KeyT_contra", contravariant=True)

log = structlog.get_logger(__name__)


class Reconciles(Protocol[KeyT_contra]):
    """What a worker calls for each key."""

    async def reconcile(self, key: KeyT_contra, /) -> float | None:
        """Reconcile once; return when to do it again. Raises KubernetesError or NameTakenError."""


@dataclass(slots=True)
class Worker(Generic[KeyT]):
    """One of several workers on the same queue; a failed key is requeued with back-off and blocks no other."""

    queue: WorkQueue[KeyT]
    reconciler: Reconciles[KeyT]
    metrics: Metrics

    def __post_init__(self) -> None:
        """Begin the counters with 0: for Prometheus, a series whose first value is 1 has not risen."""
        for result in RESULTS:
            self.metrics.reconciles.labels(result)
        for reason in ERROR_REASONS:
            self.metrics.reconcile_errors.labels(reason)

    async def run(self) -> None:
        """Process keys without end."""
        while True:
            await self.process(await self.queue.get())
            # A reconcile that sends nothing waits for nothing: others must run even if keys are always due.
            await asyncio.sleep(0)

    async def process(self, key: KeyT) -> str:
        """Reconcile a key that the queue returned; return and count the result: ok, error or broken (unexpected)."""
        started_at = time.monotonic()
        result = await self._reconcile(key)
        self.metrics.reconcile_seconds.observe(time.monotonic() - started_at)
        self.metrics.reconciles.labels(result).inc()
        return result

    async def _reconcile(self, key: KeyT) -> str:
        try:
            requeue_at = await self.reconciler.reconcile(key)
        except (KubernetesError, NameTakenError) as error:
            wanted_seconds = error.retry_after_seconds if isinstance(error, KubernetesError) else 0.0
            pause_seconds = self.queue.retry(key, wanted_seconds)
            self.metrics.reconcile_errors.labels(error_reason(error)).inc()
            log.warning("reconcile failed", resource=str(key), error=str(error), retry_seconds=round(pause_seconds, 1))
            return "error"
        except Exception:
            # An error in our own code must not end the process: the other resources are served on.
            pause_seconds = self.queue.retry(key)
            self.metrics.reconcile_errors.labels("unexpected").inc()
            log.exception("reconcile raised unexpectedly", resource=str(key), retry_seconds=round(pause_seconds, 1))
            return "broken"
        self.queue.done(key)
        if requeue_at is not None:
            self.queue.add_at(key, requeue_at)
        return "ok"


def error_reason(error: KubernetesError | NameTakenError) -> str:
    """Return the label of an expected error: one of few, whatever the API server answers."""
    if isinstance(error, NameTakenError):
        return "name_taken"
    return REASONS.get(error.status, "server_error" if error.status >= SERVER_ERROR else "rejected")
