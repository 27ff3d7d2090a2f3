"""By which gateway a client enters: by geography, or by the cheapest assignment within the regions' capacity.

Knows DNS as clients see it: an answer holds for a while, so a region that is lost receives clients for that long.
Does not know requests' ways from there.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from voxfleet_simulation.scenario.round_trips import RoundTrips

OVERFLOW_SECONDS = 10.0  # what a request beyond all capacity costs: more than any round trip
EWMA_WEIGHT = 0.3  # of the newest interval's demand


@dataclass(slots=True)
class Entry:
    """The answers for clients of each country; `is_balanced` makes them follow demand and capacity."""

    round_trips: RoundTrips
    interval_seconds: float
    is_balanced: bool
    service_seconds: float
    arrived: list[int] = field(default_factory=list)  # in this interval, by country
    demand: list[float] = field(default_factory=list)  # per second, by country
    shares: list[list[float]] = field(default_factory=list)  # cumulative, by country and region

    def __post_init__(self) -> None:
        countries, regions = len(self.round_trips.to_regions), len(self.round_trips.to_regions[0])
        self.arrived, self.demand = [0] * countries, [0.0] * countries
        self.use_nearest([True] * regions)

    def choose(self, country: int, draw: float) -> int:
        """Return the region whose gateway a client enters by; `draw`, from 0 to below 1, stands for its prefix."""
        self.arrived[country] += 1
        return next((index for index, share in enumerate(self.shares[country]) if draw < share), 0)

    def update(self, capacity: list[float], is_up: list[bool]) -> None:
        """Answer by the present state from now on; `capacity`: rows of each region that may be planned with."""
        for country, count in enumerate(self.arrived):
            rate = count / self.interval_seconds
            old = self.demand[country]
            self.demand[country] = rate if old == 0 else old + EWMA_WEIGHT * (rate - old)
        self.arrived = [0] * len(self.arrived)
        if not (self.is_balanced and any(self.demand) and self._balance(capacity, is_up)):
            self.use_nearest(is_up)

    def use_nearest(self, is_up: list[bool]) -> None:
        """Answer with the nearest region that is up."""
        self.shares = []
        for row in self.round_trips.to_regions:
            nearest = min(range(len(row)), key=lambda index: (not is_up[index], row[index]))
            self.shares.append([float(index >= nearest) for index in range(len(row))])

    def _balance(self, capacity: list[float], is_up: list[bool]) -> bool:
        """Minimise demand times round trip, each region within its rows; what fits nowhere costs OVERFLOW_SECONDS."""
        trips, demand = np.array(self.round_trips.to_regions), np.array(self.demand)
        countries, regions = trips.shape
        usable = np.array([rows if up else 0.0 for rows, up in zip(capacity, is_up, strict=True)])
        costs = np.concatenate(
            [(trips * demand[:, None]).ravel(), np.full(regions, OVERFLOW_SECONDS / self.service_seconds)]
        )
        limits = np.zeros((regions, costs.size))
        totals = np.zeros((countries, costs.size))
        for country in range(countries):
            own = slice(country * regions, (country + 1) * regions)
            totals[country, own] = 1
            limits[:, own] = np.eye(regions) * demand[country] * self.service_seconds
        limits[:, -regions:] = -np.eye(regions)
        ends = [(0, 1.0 if is_up[index % regions] else 0.0) for index in range(countries * regions)]
        solved = linprog(
            costs, A_ub=limits, b_ub=usable, A_eq=totals, b_eq=np.ones(countries),
            bounds=[*ends, *[(0, None)] * regions], method="highs",
        )  # fmt: skip
        if not solved.success:
            return False
        parts = np.cumsum(solved.x[: countries * regions].reshape(countries, regions), axis=1)
        parts[:, -1] = 1.0
        self.shares = parts.tolist()
        return True
