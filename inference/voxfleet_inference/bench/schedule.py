"""When requests are due.

Knows: closed loops (so many listeners, each asking again when served) and open ones (requests come whenever they come,
served or not), and when a run is over.
Does not know: clocks; randomness comes in as a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much load, of which kind, for how long."""

    concurrency: int  # streams at a time; in an open loop the most of them
    requests: int | None = None
    seconds: float | None = None  # no request begins later
    rate: float | None = None  # requests per second; None: a closed loop
    seed: int = 0

    def has_more(self, begun: int, now_seconds: float) -> bool:
        """Whether another request may begin."""
        has_requests = self.requests is None or begun < self.requests
        return has_requests and (self.seconds is None or now_seconds < self.seconds)


def due_times(plan: Plan) -> Iterator[float]:
    """Moments of an open loop's requests: independent of one another, as listeners are (a Poisson process)."""
    assert plan.rate is not None, "a closed loop has no due times"  # noqa: S101
    draw = random.Random(plan.seed)  # noqa: S311 - a schedule is no secret
    at_seconds, begun = draw.expovariate(plan.rate), 0
    while plan.has_more(begun, at_seconds):
        yield at_seconds
        begun += 1
        at_seconds += draw.expovariate(plan.rate)
