"""Requests of a run, and how each of them ended.

Knows: a request ends exactly once. Does not know what happens in between.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from voxfleet_simulation.errors import SimulationError


class Outcome(IntEnum):
    """How a request ended."""

    OPEN = 0
    SERVED = 1
    REFUSED = 2  # 503 at once: no region, or its hold queue is full
    EXPIRED = 3  # held for as long as its client waits
    CUT = 4  # its server ended after the first byte
    UNREACHABLE = 5  # its gateway was gone, and DNS still named it


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way."""

    number: int
    at: float
    country: int
    service_seconds: float
    gateway: int = 0  # index of the region of its gateway
    region: int = -1  # index of the region that serves it
    route: str = ""
    attempts: int = 0
    held_since: float = -1.0
    held_seconds: float = 0.0
    held_in: int = -1
    has_waited: bool = False  # no row was free, as far as that gateway knew
    arrived_at: float = 0.0  # at the gateway of the region that serves it
    started_at: float = -1.0
    is_ended: bool = False
    is_wake: bool = False  # it was held for a wake, or sent elsewhere because of one


@dataclass(slots=True)
class Records:
    """What is kept of every request, in the order of arrival."""

    count: int
    outcome: NDArray[np.int8] = field(init=False)
    delay_seconds: NDArray[np.float64] = field(init=False)  # from sending to the first byte; NaN without one
    held_seconds: NDArray[np.float64] = field(init=False)
    region: NDArray[np.int16] = field(init=False)
    is_wake: NDArray[np.bool_] = field(init=False)
    routes: dict[str, int] = field(default_factory=dict)
    ended: int = 0

    def __post_init__(self) -> None:
        self.outcome = np.zeros(self.count, np.int8)
        self.delay_seconds = np.full(self.count, np.nan)
        self.held_seconds = np.zeros(self.count)
        self.region = np.full(self.count, -1, np.int16)
        self.is_wake = np.zeros(self.count, np.bool_)

    def end(self, request: Request, outcome: Outcome, delay_seconds: float = float("nan")) -> None:
        """Record the end of a request. Raises SimulationError for a second one."""
        number = request.number
        if request.is_ended:
            raise SimulationError(f"request {number} has ended before, as {Outcome(self.outcome[number]).name}")
        request.is_ended = True
        self.ended += 1
        self.outcome[number] = outcome
        self.delay_seconds[number] = delay_seconds
        self.held_seconds[number] = request.held_seconds
        self.region[number] = request.region
        self.is_wake[number] = request.is_wake
        self.routes[request.route] = self.routes.get(request.route, 0) + 1
