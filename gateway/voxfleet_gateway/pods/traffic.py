"""What passes through this gateway for one region: counts, rates and measured times. Pure: the time is an argument.

Knows: exponentially weighted means. Does not know: requests, pods, clocks.
"""

import math
from dataclasses import dataclass
from datetime import datetime

EWMA_WEIGHT = 0.3  # of the newest measurement
DEFAULT_SERVICE_SECONDS = 2.0
DEFAULT_WAKE_SECONDS = 30.0
RATE_WINDOW_SECONDS = 60.0


def ewma(old: float | None, new: float) -> float:
    """The mean, moved towards the newest measurement."""
    return new if old is None else old + EWMA_WEIGHT * (new - old)


@dataclass(slots=True)
class RegionTraffic:
    """One region of one model."""

    open_requests: int = 0
    held_requests: int = 0
    wake_asked: bool = False
    last_finished: datetime | None = None
    service_seconds: float = DEFAULT_SERVICE_SECONDS
    measured_wake_seconds: float | None = None
    waking_since_seconds: float | None = None  # monotonic
    arrivals_per_second: float = 0.0
    last_arrival_seconds: float | None = None

    def arrived(self, now_seconds: float) -> None:
        """Count one request into the decaying rate."""
        self.arrivals_per_second = self.rate(now_seconds) + 1 / RATE_WINDOW_SECONDS
        self.last_arrival_seconds = now_seconds

    def rate(self, now_seconds: float) -> float:
        """Requests per second, over about the last minute."""
        if self.last_arrival_seconds is None:
            return 0.0
        age_seconds = max(0.0, now_seconds - self.last_arrival_seconds)
        return self.arrivals_per_second * math.exp(-age_seconds / RATE_WINDOW_SECONDS)

    def finished(self, service_seconds: float | None, at: datetime) -> None:
        """Note the end of a request; only complete ones measure the service time."""
        self.last_finished = at
        if service_seconds is not None:
            self.service_seconds = ewma(self.service_seconds, service_seconds)

    def wake_began(self, now_seconds: float) -> bool:
        """Start the clock of a wake; False when it is running already."""
        if self.waking_since_seconds is not None:
            return False
        self.waking_since_seconds = now_seconds
        return True

    def wake_ended(self, now_seconds: float) -> float | None:
        """Stop the clock; the wake's length, if one was running."""
        if self.waking_since_seconds is None:
            return None
        length_seconds = now_seconds - self.waking_since_seconds
        self.waking_since_seconds = None
        self.measured_wake_seconds = ewma(self.measured_wake_seconds, length_seconds)
        return length_seconds

    def wake_elapsed(self, now_seconds: float) -> float:
        """How long the region has been waking."""
        return 0.0 if self.waking_since_seconds is None else max(0.0, now_seconds - self.waking_since_seconds)

    def predicted_wake(self, told_seconds: float | None) -> float:
        """Measured here, else told by the operator, else a guess."""
        return self.measured_wake_seconds or told_seconds or DEFAULT_WAKE_SECONDS
