"""The contract of a pod's GET /internal/load, from the reader's side; and one pod as routing sees it.

Knows: the fields and which pods may be sent a request. Does not know: how reports are fetched.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from voxfleet_gateway.cluster.endpoint_watch import PodAddress, PodEndpoint

FRESH_SECONDS = 3.0  # three polls
OPEN_LIMIT_PER_POD = 64  # of this gateway's requests; half of what a pod's queue takes by default

PodState = Literal["loading", "warming", "ready", "draining", "failed"]


class LoadReport(BaseModel):
    """What the gateway needs of the report; the rest is passed to the operator unread."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: PodState
    message: str = ""
    open_requests: int = 0
    running_sequences: int = 0
    waiting_sequences: int = 0
    free_rows: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report, what it was read from, and when it came."""

    report: LoadReport
    raw: dict[str, Any]
    received_seconds: float  # monotonic


@dataclass(slots=True)
class PodRecord:
    """Everything known about one pod."""

    endpoint: PodEndpoint
    received: ReceivedReport | None = None
    open_requests: int = 0  # this gateway's
    sent_since_report: int = 0
    quarantined_since_seconds: float | None = field(
        default=None
    )  # an attempt failed and the pod has not reported since

    @property
    def address(self) -> PodAddress:
        """Where it is."""
        return self.endpoint.address

    def state(self, now_seconds: float) -> PodState | None:
        """What the pod said last, if that was not too long ago."""
        fresh = self.received is not None and now_seconds - self.received.received_seconds <= FRESH_SECONDS
        return self.received.report.state if fresh and self.received else None

    def servable(self, now_seconds: float) -> bool:
        """Whether a request may be sent: the pod itself says so, or it is silent and Kubernetes says so."""
        if self.endpoint.terminating or self.quarantined_since_seconds is not None:
            return False
        state = self.state(now_seconds)
        return self.endpoint.ready if state is None else state == "ready"

    def take(self, received: ReceivedReport) -> None:
        """Note a new report; it clears any suspicion and counts what was sent before it."""
        self.received = received
        self.sent_since_report = 0
        self.quarantined_since_seconds = None

    @property
    def free_rows(self) -> int:
        """Rows that the pod had free, less what was sent since."""
        free = self.received.report.free_rows if self.received else 1
        return max(0, free - self.sent_since_report)

    @property
    def running(self) -> int:
        """Rows in use, with what was sent since."""
        if self.received is None:
            return min(1, self.open_requests)
        report = self.received.report
        return report.running_sequences + min(self.sent_since_report, report.free_rows)

    @property
    def waiting(self) -> int:
        """Sequences beyond the rows, with what was sent since."""
        if self.received is None:
            return max(0, self.open_requests - 1)
        report = self.received.report
        return report.waiting_sequences + max(0, self.sent_since_report - report.free_rows)

    @property
    def free_requests(self) -> int:
        """Further requests this gateway may send to the pod."""
        return max(0, OPEN_LIMIT_PER_POD - self.open_requests)
