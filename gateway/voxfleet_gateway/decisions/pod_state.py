"""One inference pod: its address, its EndpointSlice entry, its last load report, and the requests sent to it. Pure.

Knows: when a pod may be sent a request, and how requests sent since the last report change its load.
Does not know: how slices and reports are fetched; clocks (the time is an argument).
"""

from dataclasses import dataclass
from typing import Any, Literal

HTTP_PORT = 6006  # of a slice that names no port
INTERNAL_PORT = 9091
FRESH_SECONDS = 3.0  # three polls at one a second: a single lost poll does not make a report stale
OPEN_LIMIT_PER_POD = 64  # requests of this gateway; half of a pod's default queue, so that two gateways fit

ReportedState = Literal["loading", "warming", "ready", "draining", "failed"]


@dataclass(frozen=True, slots=True)
class PodAddress:
    """IP address and ports of a pod."""

    ip: str
    http_port: int = HTTP_PORT
    internal_port: int = INTERNAL_PORT

    def url(self, path: str) -> str:
        """Return the URL of a path of the speech API."""
        return f"http://{self._host}:{self.http_port}{path}"

    def internal_url(self, path: str) -> str:
        """Return the URL of a path of the internal port."""
        return f"http://{self._host}:{self.internal_port}{path}"

    @property
    def _host(self) -> str:
        # RFC 3986, 3.2.2: an IPv6 address in a URL stands in brackets
        return f"[{self.ip}]" if ":" in self.ip else self.ip


@dataclass(frozen=True, slots=True)
class PodEndpoint:
    """One endpoint of an EndpointSlice."""

    address: PodAddress
    name: str = ""
    is_ready: bool = False
    is_terminating: bool = False


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The fields of a pod's GET /internal/load that the gateway reads."""

    state: ReportedState
    message: str = ""
    open_requests: int = 0
    running_sequences: int = 0
    waiting_sequences: int = 0
    free_rows: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A load report, the JSON that it was read from, and the monotonic time of its arrival."""

    report: LoadReport
    raw: dict[str, Any]
    received_seconds: float


@dataclass(slots=True)
class PodState:
    """What this gateway knows of one pod."""

    endpoint: PodEndpoint
    received: ReceivedReport | None = None
    open_requests: int = 0  # sent by this gateway and not ended
    sent_since_report: int = 0
    # Monotonic; set when an attempt at the pod failed, cleared by its next report.
    quarantined_since_seconds: float | None = None

    @property
    def address(self) -> PodAddress:
        """The pod's address."""
        return self.endpoint.address

    def state(self, now_seconds: float) -> ReportedState | None:
        """Return the last reported state, or None when there is no report younger than FRESH_SECONDS."""
        if self.received is None or now_seconds - self.received.received_seconds > FRESH_SECONDS:
            return None
        return self.received.report.state

    def is_servable(self, now_seconds: float) -> bool:
        """Whether a request may be sent: a fresh report says ready, or there is none and Kubernetes says ready."""
        if self.endpoint.is_terminating or self.quarantined_since_seconds is not None:
            return False
        state = self.state(now_seconds)
        return self.endpoint.is_ready if state is None else state == "ready"

    def record_report(self, received: ReceivedReport) -> None:
        """Replace the report; it contains what was sent before it, and it ends a quarantine."""
        self.received = received
        self.sent_since_report = 0
        self.quarantined_since_seconds = None

    @property
    def free_rows(self) -> int:
        """Rows free at the last report, less the requests sent since; a pod without a report is given one."""
        free = self.received.report.free_rows if self.received else 1
        return max(0, free - self.sent_since_report)

    @property
    def running(self) -> int:
        """Rows in use at the last report, plus the requests sent since that found a free one."""
        if self.received is None:
            return min(1, self.open_requests)
        report = self.received.report
        return report.running_sequences + min(self.sent_since_report, report.free_rows)

    @property
    def waiting(self) -> int:
        """Sequences without a row at the last report, plus the requests sent since that found none."""
        if self.received is None:
            return max(0, self.open_requests - 1)
        report = self.received.report
        return report.waiting_sequences + max(0, self.sent_since_report - report.free_rows)

    @property
    def free_requests(self) -> int:
        """How many further requests this gateway may send to the pod."""
        return max(0, OPEN_LIMIT_PER_POD - self.open_requests)
