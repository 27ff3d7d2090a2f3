"""Statistics of one run: start delays, how requests ended, GPU-hours and money.

Knows definitions. Does not know how runs compare (study.py), nor formats.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from voxfleet_operator.names import POOL_SPOT

from voxfleet_simulation.scenario.scenario import HOUR_SECONDS, Scenario
from voxfleet_simulation.world.requests import Outcome
from voxfleet_simulation.world.run import RunResult

Bill = Iterable[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class Delays:
    """Start delays in seconds: from sending a request to the first byte at its client."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


NO_DELAYS = Delays(0, float("nan"), float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Statistics:
    """One run. `outside_wakes`: requests that were neither held for a wake nor sent elsewhere because of one."""

    name: str
    requests: int
    outcomes: dict[str, int]
    routes: dict[str, int]
    all: Delays
    outside_wakes: Delays
    in_wakes: Delays
    held_hours: float  # of clients, while a region woke
    gpu_hours: float
    gpu_hours_spot: float
    money: float
    wakes: int
    reclaims: int
    events: int

    @property
    def lost(self) -> int:
        """Requests that ended with neither complete audio nor a refusal before their first byte."""
        return self.outcomes["cut"] + self.outcomes["unreachable"]


def delays_of(seconds: NDArray[np.float64]) -> Delays:
    """Return the percentiles of start delays; requests without one are left out."""
    known = seconds[~np.isnan(seconds)]
    if not known.size:
        return NO_DELAYS
    return Delays(known.size, float(known.mean()), *(float(each) for each in np.percentile(known, (50, 95, 99))))


def statistics_of(scenario: Scenario, result: RunResult) -> Statistics:
    """Return the statistics of a run."""
    records = result.records
    counts = np.bincount(records.outcome, minlength=len(Outcome))
    hours = [sum(gpu_hours(bill).values()) for bill in result.bills]
    return Statistics(
        name=result.variant.name,
        requests=records.count,
        outcomes={each.name.lower(): int(counts[each]) for each in Outcome if each != Outcome.OPEN},
        routes=dict(sorted(records.routes.items())),
        all=delays_of(records.delay_seconds),
        outside_wakes=delays_of(records.delay_seconds[~records.is_wake]),
        in_wakes=delays_of(records.delay_seconds[records.is_wake]),
        held_hours=float(records.held_seconds.sum()) / HOUR_SECONDS,
        gpu_hours=sum(hours),
        gpu_hours_spot=sum(gpu_hours(bill).get(POOL_SPOT, 0.0) for bill in result.bills),
        money=sum(price_of(scenario, index, bill) for index, bill in enumerate(result.bills)),
        wakes=result.wakes,
        reclaims=result.reclaims,
        events=result.events,
    )


def gpu_hours(bill: Bill) -> dict[str, float]:
    """Return the hours of each pool: of nodes from their launch to their removal, boot and idle times included."""
    hours: dict[str, float] = {}
    for pool, begin, end in bill:
        hours[pool] = hours.get(pool, 0.0) + (end - begin) / HOUR_SECONDS
    return hours


def price_of(scenario: Scenario, index: int, bill: Bill) -> float:
    """Return what a region's nodes cost; without prices in the spec nothing."""
    prices = scenario.spec.regions[index].price_per_gpu_hour
    if prices is None:
        return 0.0
    on_demand = float(prices.on_demand or prices.spot or 0)
    spot = float(prices.spot or on_demand)
    return sum(hours * (spot if pool == POOL_SPOT else on_demand) for pool, hours in gpu_hours(bill).items())


def servers_over_time(
    bills: tuple[tuple[tuple[str, float, float], ...], ...], times: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how many nodes each region has at each time, [regions, times]."""
    rows = []
    for bill in bills:
        begins = np.sort([begin for _, begin, _ in bill])
        ends = np.sort([end for _, _, end in bill])
        rows.append(np.searchsorted(begins, times, "right") - np.searchsorted(ends, times, "right"))
    return np.array(rows, np.int64)
