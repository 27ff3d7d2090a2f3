"""One inference pod: its address, its EndpointSlice entry, its last load report, and the requests sent to it. Pure.

Knows: when a pod may be sent a request, and how requests sent since the last report change its load.
Does not know: how slices and reports are fetched; clocks (the time is an argument).
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic_core import from_json

from voxfleet_gateway.decisions.pods.ejection import QUARANTINING, Ejection
from voxfleet_gateway.decisions.pods.forecast import Forecast, forecast, usual_after
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.regions import LANGUAGE, MAX_LANGUAGES

HTTP_PORT = 6006  # of a slice that names no port
INTERNAL_PORT = 9091
FRESH_SECONDS = 5.0  # a poll a second, each of at most one: a report is stale after two lost polls in a row
OPEN_LIMIT_PER_POD = 64  # requests of this gateway, until the registry's figures are known
MAX_MESSAGE_CHARACTERS = 300  # of a pod's message, which error responses quote

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


Count = Annotated[int, Field(ge=0, le=100_000)]  # of requests, sequences or rows; the largest batch has hundreds
Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


def _kept_languages(given: Any) -> Any:
    """Return the values that are languages: a checkpoint that names others is served as one that names none."""
    tags = given if isinstance(given, list | tuple) else ()
    return tuple(tag for tag in tags if isinstance(tag, str) and LANGUAGE.fullmatch(tag))[:MAX_LANGUAGES]


Languages = Annotated[tuple[str, ...], BeforeValidator(_kept_languages)]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The fields of a pod's GET /internal/load that the gateway reads; `parse_report` checks their bounds."""

    state: ReportedState
    message: str = ""
    open_requests: Count = 0
    running_sequences: Count = 0
    waiting_sequences: Count = 0
    free_rows: Count = 0
    queued_audio_seconds: Seconds = 0.0
    audio_seconds_per_second: Seconds = 0.0
    step_seconds_p50: Seconds | None = None
    first_audio_seconds_p95: Seconds | None = None
    loaded_seconds: Seconds | None = None
    languages: Languages = ()  # that the checkpoint names, once it is loaded

    @property
    def expected_first_byte_seconds(self) -> float:
        """How long a request sent now waits for its first byte, by the pod's own measurements."""
        rate = self.audio_seconds_per_second
        queue_seconds = self.queued_audio_seconds / rate if rate > 0 and not self.free_rows else 0.0
        return queue_seconds + (self.first_audio_seconds_p95 or 0.0)


_REPORT_FORM = TypeAdapter(LoadReport)  # fields that are unknown here are ignored


def parse_report(body: bytes) -> tuple[LoadReport, dict[str, Any]]:
    """Return the report and the JSON that it was read from. Raises ValueError for anything but a valid report.

    A pod's image is its resource's author's, so the values are bounded here, and everything after can rely on them.
    """
    raw = from_json(body, allow_inf_nan=False)  # bounded in depth; json.loads raises RecursionError
    report = _REPORT_FORM.validate_python(raw)
    return replace(report, message=report.message[:MAX_MESSAGE_CHARACTERS]), raw


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
    unanswered: int = 0  # of the open requests: no byte of a response yet
    last_byte_seconds: float = 0.0  # monotonic; of any stream that this gateway reads
    ejection: Ejection = field(default_factory=Ejection)
    max_requests: int = OPEN_LIMIT_PER_POD  # this gateway's share of the rows and the queue that the registry names
    request_limit: int | None = None  # learned from a pod that was full earlier; None: max_requests
    ended_since_report: int = 0
    usual_others: float | None = None  # of the requests in the pod's reports those of other gateways

    @property
    def address(self) -> PodAddress:
        """The pod's address."""
        return self.endpoint.address

    def state(self, now_seconds: float) -> ReportedState | None:
        """Return the last reported state, or None when there is no report younger than FRESH_SECONDS."""
        if self.received is None or self.is_dark(now_seconds):
            return None
        return self.received.report.state

    def is_dark(self, now_seconds: float) -> bool:
        """Whether the pod has reported and stopped, as on a dead node, where Kubernetes says ready for 40 s more."""
        return self.received is not None and now_seconds - self.received.received_seconds > FRESH_SECONDS

    def is_servable(self, now_seconds: float) -> bool:
        """Whether a request may be sent: a fresh report says ready, or none ever came and Kubernetes says ready."""
        if self.endpoint.is_terminating or self.quarantined_since_seconds is not None:
            return False
        return self.endpoint.is_ready if self.received is None else self.state(now_seconds) == "ready"

    def record_report(self, received: ReceivedReport) -> None:
        """Replace the report; it contains what was sent before it, and it ends a quarantine, but no ejection."""
        self.received = received
        self.sent_since_report = self.ended_since_report = 0
        self.usual_others = usual_after(self.usual_others, max(0, self.in_pod - self.open_requests))
        self.quarantined_since_seconds = None
        if self.request_limit is not None:
            # By an eighth, whatever the report says: a full pod may well report free rows.
            grown = self.request_limit + max(1, self.request_limit // 8)
            self.request_limit = grown if grown < self.max_requests else None

    def record_failure(self, failure: UpstreamFailure, now_seconds: float) -> bool:
        """Lower the limit of a full pod; eject any other, and send it nothing until it reports if it may be gone.

        Returns whether this failure ejected it.
        """
        if failure is UpstreamFailure.FULL:
            self.request_limit = min(self.open_requests, self.max_requests)
            return False
        if failure in QUARANTINING:
            self.quarantined_since_seconds = now_seconds
        return self.ejection.record_failure(now_seconds)

    @property
    def expected_first_byte_seconds(self) -> float:
        """The wait that the pod's last report suggests; 0 without a report."""
        return self.received.report.expected_first_byte_seconds if self.received else 0.0

    def record_sent(self) -> None:
        """Count a request that this gateway sends to the pod."""
        self.open_requests += 1
        self.sent_since_report += 1

    def record_ended(self, *, has_row: bool = True) -> None:
        """Count a request of this gateway out, however it ended; an idle session has had no row."""
        self.open_requests -= 1
        self.ended_since_report += has_row

    @property
    def rows(self) -> int:
        """Rows of the pod; one without a report is given one."""
        report = self.received.report if self.received else None
        return 1 if report is None else report.running_sequences + report.free_rows

    @property
    def in_pod(self) -> int:
        """Requests with and without a row: those of the last report, changed by what this gateway has sent and ended.

        Never fewer than this gateway waits for: requests on their way were in no report.
        """
        if self.received is None:
            return self.open_requests
        report = self.received.report
        reported = report.running_sequences + report.waiting_sequences
        return max(reported + self.sent_since_report - self.ended_since_report, self.unanswered)

    def forecast(self, now_seconds: float, service_seconds: float) -> Forecast:
        """Return how many requests are in the pod by now: others' have changed since the report."""
        known = self.in_pod
        if self.received is None:
            return Forecast(known, known, 0.0)
        age_seconds = max(0.0, now_seconds - self.received.received_seconds)
        others = max(0, known - self.open_requests)
        usual = others if self.usual_others is None else self.usual_others
        return forecast(known, others, usual, age_seconds, service_seconds)

    @property
    def free_rows(self) -> int:
        """Rows without a request."""
        return max(0, self.rows - self.in_pod)

    @property
    def running(self) -> int:
        """Rows in use."""
        return min(self.rows, self.in_pod)

    @property
    def waiting(self) -> int:
        """Requests without a row."""
        return max(0, self.in_pod - self.rows)

    @property
    def free_requests(self) -> int:
        """How many further requests this gateway may send to the pod."""
        limit = self.max_requests if self.request_limit is None else self.request_limit
        return max(0, limit - self.open_requests)


def updated_pod(old: PodState | None, endpoint: PodEndpoint, max_requests: int) -> PodState:
    """Keep a pod's counters and report when its endpoint changes; a new pod may get an old one's address."""
    pod = PodState(endpoint) if old is None or old.endpoint.name != endpoint.name else old
    pod.endpoint, pod.max_requests = endpoint, max_requests
    return pod
