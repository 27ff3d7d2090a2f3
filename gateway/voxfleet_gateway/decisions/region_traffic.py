"""Requests of one region through this gateway: counts, rates, measured service and wake times. Pure.

Knows: exponentially weighted means, the clock of a wake. Does not know: pods, sockets, the current time (an argument).
"""

import math
from dataclasses import dataclass, field
from datetime import datetime

EWMA_WEIGHT = 0.3  # of the newest measurement: the last five make up five sixths of the mean
SERVICE_WEIGHT = 0.01  # of the newest request: each error of the mean is one of every wait, and texts differ much
DEFAULT_SERVICE_SECONDS = 2.0  # one short sentence; used until a request was measured
DEFAULT_WAKE_SECONDS = 30.0  # image present, weights read from disk; used until a wake was measured or predicted
RATE_WINDOW_SECONDS = 60.0


def ewma(old: float | None, new: float) -> float:
    """Return the exponentially weighted mean after one more measurement."""
    return new if old is None else old + EWMA_WEIGHT * (new - old)


@dataclass(slots=True)
class ArrivalRate:
    """Requests per second; an arrival's weight falls to 1/e within RATE_WINDOW_SECONDS."""

    per_second: float = 0.0  # at the last arrival
    last_seconds: float | None = None

    def record(self, now_seconds: float) -> None:
        """Count one arrival."""
        self.per_second = self.at(now_seconds) + 1 / RATE_WINDOW_SECONDS
        self.last_seconds = now_seconds

    def at(self, now_seconds: float) -> float:
        """Return the rate now."""
        if self.last_seconds is None:
            return 0.0
        age_seconds = max(0.0, now_seconds - self.last_seconds)
        return self.per_second * math.exp(-age_seconds / RATE_WINDOW_SECONDS)


@dataclass(slots=True)
class RegionTraffic:
    """Counters and measurements of one region of one model; times are monotonic seconds unless they are datetimes."""

    open_requests: int = 0
    is_wake_requested: bool = False
    last_finished: datetime | None = None
    service_seconds: float = DEFAULT_SERVICE_SECONDS
    services_measured: int = 0  # of requests that had a row at once
    measured_wake_seconds: float | None = None
    waking_since_seconds: float | None = None
    arrivals: ArrivalRate = field(default_factory=ArrivalRate)
    arrivals_by_country: dict[str, ArrivalRate] = field(default_factory=dict)  # of clients; "" is unknown

    def record_arrival(self, now_seconds: float, country: str | None = None) -> None:
        """Count one request of a client in this country."""
        self.arrivals.record(now_seconds)
        self.arrivals_by_country.setdefault(country or "", ArrivalRate()).record(now_seconds)

    def record_end(self, service_seconds: float | None, at: datetime, *, has_waited: bool = False) -> None:
        """Record the end of a request; `service_seconds` is None for one that was not answered completely.

        `has_waited`: for a row. The queue's wait is estimated from the service time and must not be in it, so such a
        request counts only until one was measured that has not waited.
        """
        self.last_finished = at
        if service_seconds is not None and not (has_waited and self.services_measured):
            # The plain mean of the first ones, so that the default is forgotten soon.
            self.services_measured += not has_waited
            weight = max(SERVICE_WEIGHT, 1 / (self.services_measured + 1 + has_waited))
            self.service_seconds += weight * (service_seconds - self.service_seconds)

    def start_wake(self, now_seconds: float) -> bool:
        """Start the clock of a wake; return False when it is running already."""
        if self.waking_since_seconds is not None:
            return False
        self.waking_since_seconds = now_seconds
        return True

    def end_wake(self, now_seconds: float) -> float | None:
        """Stop the clock and return the length of the wake, or None when no clock was running."""
        if self.waking_since_seconds is None:
            return None
        length_seconds = now_seconds - self.waking_since_seconds
        self.waking_since_seconds = None
        self.measured_wake_seconds = ewma(self.measured_wake_seconds, length_seconds)
        return length_seconds

    def wake_elapsed(self, now_seconds: float) -> float:
        """Return the seconds since the wake began, 0 when none is running."""
        return 0.0 if self.waking_since_seconds is None else max(0.0, now_seconds - self.waking_since_seconds)

    def predicted_wake(self, predicted_by_operator_seconds: float | None) -> float:
        """Return the mean measured here, else the operator's prediction, else the default."""
        return self.measured_wake_seconds or predicted_by_operator_seconds or DEFAULT_WAKE_SECONDS
