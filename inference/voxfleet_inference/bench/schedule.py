"""When requests are due, and when a run is over.

Knows: closed loops (each of n streams sends its next request when the last one has ended) and open loops (requests are
due at given times, whatever has ended).
Does not know: clocks; randomness comes in as a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The load of a run: closed or open loop, how much, for how long."""

    concurrency: int  # streams at a time; in an open loop their limit
    requests: int | None = None
    seconds: float | None = None  # no request starts later
    rate: float | None = None  # requests per second; None: a closed loop
    seed: int = 0

    def has_more(self, started: int, now_seconds: float) -> bool:
        """Return whether another request may start."""
        has_requests = self.requests is None or started < self.requests
        return has_requests and (self.seconds is None or now_seconds < self.seconds)


def due_times(plan: Plan) -> Iterator[float]:
    """Yield the times of an open loop's requests: a Poisson process, since users arrive independently."""
    assert plan.rate is not None, "a closed loop has no due times"  # noqa: S101
    draw = random.Random(plan.seed)  # noqa: S311 - a schedule is no secret
    # Exponential gaps make a Poisson process.
    at_seconds, started = draw.expovariate(plan.rate), 0
    while plan.has_more(started, at_seconds):
        yield at_seconds
        started += 1
        at_seconds += draw.expovariate(plan.rate)
