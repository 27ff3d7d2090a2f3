"""A clairvoyant oracle: what routing and scaling could have done if they had known everything.

Start delay. The oracle has the servers of a run, each from when it was ready to when it stopped admitting. For each
request, in the order of arrival, it knows the exact time at which every row of every server becomes free, servers that
will only be ready later included, and sends the request at once from its client to the row where its first byte comes
soonest: round trip client to region plus the wait for that row. It pays no way through a gateway and no old news. It
serves requests one after the other and does not hold one back for the good of a later one.

GPU-hours. With every request served at its nearest region and at once, a region needs at each instant as many servers
as its open requests fill, `targetRequestsPerReplica` each, and none while nothing is open: no server starts too early,
is kept too long, or needs time to start. Knows no decisions of the product.
"""

from dataclasses import dataclass, field
from heapq import heapreplace

import numpy as np
from numpy.typing import NDArray

from voxfleet_simulation.scenario.demand import Arrivals
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.scenario.scenario import HOUR_SECONDS, Scenario

Lifetimes = tuple[tuple[tuple[float, float], ...], ...]
NEVER = float("inf")


@dataclass(slots=True)
class _Rows:
    """The rows of one server: when each becomes free, the earliest first."""

    ready_at: float
    stops_at: float
    free_at: list[float]


@dataclass(slots=True)
class _Region:
    """The servers of one region: those that are over are dropped as time passes."""

    coming: list[_Rows]  # in the order in which they are ready, the first one last
    present: list[_Rows] = field(default_factory=list)

    def soonest(self, at: float) -> tuple[float, _Rows | None]:
        """Return when a request that arrives at this time could begin, and where."""
        while self.coming and self.coming[-1].ready_at <= at:
            self.present.append(self.coming.pop())
        if self.present and self.present[0].stops_at <= at:
            self.present = [each for each in self.present if each.stops_at > at]
        best, chosen = NEVER, None
        for server in self.present:
            begin = max(at, server.free_at[0])
            if begin < best and begin < server.stops_at:
                best, chosen = begin, server
                if begin == at:
                    return best, chosen
        for server in reversed(self.coming):
            if server.ready_at >= best:
                break
            begin = max(server.ready_at, server.free_at[0])
            if begin < best and begin < server.stops_at:
                best, chosen = begin, server
        return best, chosen


def oracle_delays(scenario: Scenario, arrivals: Arrivals, lifetimes: Lifetimes) -> NDArray[np.float64]:
    """Return the start delay of every request under the oracle; NaN where no server ever comes."""
    trips = make_round_trips(scenario).to_regions
    regions = [
        _Region([_server(each, scenario.rows) for each in sorted(servers, reverse=True)]) for servers in lifetimes
    ]
    allowed = _allowed(scenario)
    delays = np.full(len(arrivals), np.nan)
    order = range(len(regions))
    columns = zip(arrivals.times.tolist(), arrivals.countries.tolist(), arrivals.service_seconds.tolist(), strict=True)
    for number, (at, country, service_seconds) in enumerate(columns):
        trip, best, chosen, begins_at = trips[country], NEVER, None, 0.0
        for index in sorted(order, key=trip.__getitem__):
            if trip[index] >= best:
                break
            if not allowed[country][index]:
                continue
            begin, server = regions[index].soonest(at + trip[index] / 2)
            delay = begin - at + trip[index] / 2
            if server is not None and delay < best:
                best, chosen, begins_at = delay, server, begin
        if chosen is not None:
            heapreplace(chosen.free_at, begins_at + service_seconds)
            delays[number] = best
    return delays


def _server(lifetime: tuple[float, float], rows: int) -> _Rows:
    return _Rows(lifetime[0], lifetime[1], [0.0] * rows)


def _allowed(scenario: Scenario) -> list[list[bool]]:
    """Return which regions may serve which countries."""
    lists = [region.allowed_clients for region in scenario.spec.regions]
    return [[not names or country.name in names for names in lists] for country in scenario.demand.countries]


def oracle_gpu_hours(scenario: Scenario, arrivals: Arrivals) -> float:
    """Return the GPU-hours that serving every request at its nearest region at once takes at least."""
    trips, allowed = make_round_trips(scenario).to_regions, _allowed(scenario)
    home = [
        min((index for index in range(len(row)) if allowed[country][index]), key=row.__getitem__, default=0)
        for country, row in enumerate(trips)
    ]
    homes = np.array(home)[arrivals.countries]
    total_seconds = 0.0
    for index, region in enumerate(scenario.spec.regions):
        target = scenario.autoscaling(region).target_requests_per_replica
        chosen = homes == index
        begins, ends = arrivals.times[chosen], arrivals.times[chosen] + arrivals.service_seconds[chosen]
        total_seconds += _server_seconds(begins, np.minimum(ends, scenario.ends_at), target)
    return total_seconds / HOUR_SECONDS


def _server_seconds(begins: NDArray[np.float64], ends: NDArray[np.float64], target: int) -> float:
    """Return the integral of ceil(open requests / target)."""
    times = np.concatenate([begins, ends])
    steps = np.concatenate([np.ones(len(begins)), -np.ones(len(ends))])
    order = np.argsort(times, kind="stable")
    opened = np.cumsum(steps[order])[:-1]
    return float(np.sum(np.ceil(opened / target) * np.diff(times[order])))
