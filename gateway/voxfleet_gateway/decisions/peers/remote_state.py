"""One region behind another gateway: its newest report, and what this gateway has sent there since. Pure.

Knows: when a report is stale, that own requests count from being sent to their end whatever the report says, that a
failed attempt is doubted until a later report.
Does not know: clocks (the time is an argument), sockets; what is decided from it (remote_view.py, routing.py).
"""

import math
from dataclasses import dataclass

from voxfleet_gateway.decisions.pods.forecast import Forecast, forecast, usual_after
from voxfleet_gateway.errors import UpstreamFailure

STALE_INTERVALS = 3
WAKE_REPEAT_SECONDS = 10.0  # before a peer is asked again for a wake that its reports don't show


@dataclass(frozen=True, slots=True)
class RemoteReport:
    """What the region's gateway reports of one model; the defaults are those of a region that is asleep."""

    ready_pods: int = 0
    rows: int = 0
    running: int = 0
    waiting: int = 0
    free_requests: int = 0
    service_seconds: float | None = None
    measured_wake_seconds: float | None = None
    wake_elapsed_seconds: float = 0.0
    is_falling_asleep: bool = False
    failure: str | None = None


ASLEEP = RemoteReport()


@dataclass(slots=True)
class RemoteState:
    """What this gateway knows of one region of one model behind a peer; times are monotonic."""

    interval_seconds: float  # between two reports
    report: RemoteReport = ASLEEP
    asked_seconds: float = -math.inf  # for the newest report: it is at least as new
    hop_seconds: float = 0.0  # between the gateways and back
    open_requests: int = 0
    unanswered: int = 0  # of the open ones: no byte yet
    sent: int = 0  # ever
    reported: int = 0  # of those: sent before the newest report was asked for
    ended_since_report: int = 0  # of the open ones that had a row
    usual_others: float | None = None  # of the requests in the region's reports those of other gateways
    failed_seconds: float = -math.inf
    full_seconds: float = -math.inf
    wake_asked_seconds: float = -math.inf
    last_byte_seconds: float = -math.inf  # of any stream from there

    def record_report(self, report: RemoteReport, asked_seconds: float, sent_before: int, hop_seconds: float) -> bool:
        """Replace the report; one that was asked for earlier than the newest is dropped.

        Returns whether another decision may follow: most reports of most models say what the last ones said.
        """
        if asked_seconds < self.asked_seconds:
            return False
        was = self.report, self.reported, self.takes_requests, self.is_stale(asked_seconds)
        self.report, self.asked_seconds, self.hop_seconds = report, asked_seconds, hop_seconds
        self.reported = max(self.reported, sent_before)
        self.ended_since_report = 0
        self.usual_others = usual_after(self.usual_others, self.others)
        return was != (report, self.reported, self.takes_requests, False)

    def record_ended(self, *, has_row: bool = True) -> None:
        """Count a request of this gateway out, however it ended; an idle session has had no row."""
        self.open_requests -= 1
        self.ended_since_report += has_row

    def record_failure(self, failure: UpstreamFailure, now_seconds: float) -> None:
        """Send nothing further until a report that is asked for later."""
        if failure is UpstreamFailure.FULL:
            self.full_seconds = now_seconds
        else:
            self.failed_seconds = now_seconds

    def age_seconds(self, now_seconds: float) -> float:
        """Return the report's age, infinite without one."""
        return now_seconds - self.asked_seconds

    def is_stale(self, now_seconds: float) -> bool:
        """Whether the report is too old to prefer the region by, or there is none."""
        return self.age_seconds(now_seconds) > STALE_INTERVALS * self.interval_seconds

    def is_dark(self, now_seconds: float) -> bool:
        """Whether the region has reported and stopped."""
        return self.asked_seconds > -math.inf and self.is_stale(now_seconds)

    @property
    def takes_requests(self) -> bool:
        """Whether no attempt since the report has failed or found the region full."""
        return max(self.failed_seconds, self.full_seconds) < self.asked_seconds

    @property
    def sent_since_report(self) -> int:
        """Own requests that the report does not contain."""
        return self.sent - self.reported

    @property
    def in_region(self) -> int:
        """Requests with and without a row: those of the report, changed by what this gateway has sent and ended."""
        reported = self.report.running + self.report.waiting
        return max(0, reported + self.sent_since_report - self.ended_since_report)

    @property
    def others(self) -> int:
        """Requests in the region that this gateway has not sent."""
        return max(0, self.in_region - self.open_requests)

    def forecast(self, now_seconds: float, service_seconds: float) -> Forecast:
        """Return how many requests are in the region by now: others' have changed since the report."""
        known, others, age_seconds = self.in_region, self.others, max(0.0, self.age_seconds(now_seconds))
        usual = others if self.usual_others is None else self.usual_others
        return forecast(known, others, usual, age_seconds, service_seconds)

    def wants_wake(self, now_seconds: float) -> bool:
        """Whether asking the peer for a wake would start one."""
        report = self.report
        is_awake = report.ready_pods > 0 and not report.is_falling_asleep
        is_asked = now_seconds - self.wake_asked_seconds < WAKE_REPEAT_SECONDS
        return not (is_awake or report.wake_elapsed_seconds or is_asked or self.is_stale(now_seconds))
