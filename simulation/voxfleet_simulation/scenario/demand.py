"""The arrivals of a scenario: when, from which country, and how long each is served. All from the seed.

Knows demand curves by local hour, bursts, service times. Does not know traces' formats (traces.py), regions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from voxfleet_simulation.scenario.fields import HOURS, Country, Demand, Service
from voxfleet_simulation.scenario.scenario import HOUR_SECONDS, Scenario
from voxfleet_simulation.scenario.traces import read_trace

BIN_SECONDS = 300.0  # the curve is constant for so long

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests in the order of their arrival; `draws`: a uniform number of each, for choices of its client."""

    times: Floats  # [requests], seconds since 1970
    countries: Ints  # [requests], index of the scenario's countries
    service_seconds: Floats  # [requests]
    draws: Floats  # [requests], from 0 to below 1

    def __len__(self) -> int:
        return len(self.times)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one purpose: more draws for one leave those of the others as they are."""
    return np.random.default_rng([seed, *purpose.encode()])


def make_arrivals(scenario: Scenario, folder: Path = Path()) -> Arrivals:
    """Return the arrivals of a scenario; a trace is read from a path relative to the folder."""
    rng = stream(scenario.seed, "arrivals")
    if scenario.demand.trace is None:
        times, countries = _from_curves(scenario, rng)
    else:
        times = read_trace(folder / scenario.demand.trace.file, scenario.demand.trace, scenario.begins_at)
        times = times[times < scenario.ends_at]
        shares = np.array([country.share for country in scenario.demand.countries])
        countries = rng.choice(len(shares), size=len(times), p=shares / shares.sum())
    order = np.argsort(times, kind="stable")
    service = service_times(scenario.service, len(times), stream(scenario.seed, "service"))
    draws = stream(scenario.seed, "clients").random(len(times))
    return Arrivals(times[order], countries[order].astype(np.int64), service, draws)


def service_times(service: Service, count: int, rng: np.random.Generator) -> Floats:
    """Return times for which requests have a row."""
    mean = service.mean_seconds
    if service.distribution == "fixed":
        return np.full(count, mean)
    if service.distribution == "exponential":
        return rng.exponential(mean, count)
    sigma_squared = np.log1p(service.variation**2)
    return rng.lognormal(np.log(mean) - sigma_squared / 2, np.sqrt(sigma_squared), count)


def bin_lengths(scenario: Scenario) -> Floats:
    """Return the seconds of each bin; the last one may be shorter."""
    seconds = scenario.ends_at - scenario.begins_at
    starts = np.arange(int(np.ceil(seconds / BIN_SECONDS))) * BIN_SECONDS
    lengths: Floats = np.minimum(BIN_SECONDS, seconds - starts)
    return lengths


def rates(scenario: Scenario) -> Floats:
    """Return the expected requests per country and bin, [countries, bins]."""
    demand, lengths = scenario.demand, bin_lengths(scenario)
    middles = np.array([scenario.begins_at + (index + 0.5) * BIN_SECONDS for index in range(len(lengths))])
    rows = [country.share * _curve(demand, country, middles, scenario.begins_at) for country in demand.countries]
    weights = np.array(rows) * lengths
    expected: Floats = weights * demand.requests / weights.sum()
    return expected


def _curve(demand: Demand, country: Country, middles: Floats, begins_at: float) -> Floats:
    weights = np.array([_weight_at(demand.hourly, country.time_zone, at) for at in middles])
    for burst in demand.bursts:
        if not burst.countries or country.name in burst.countries:
            start = begins_at + burst.start_hour * HOUR_SECONDS
            weights[(middles >= start) & (middles < start + burst.minutes * 60)] *= burst.factor
    return weights


def _weight_at(hourly: tuple[float, ...], time_zone: str, at: float) -> float:
    """Return the curve's value at an instant: weights hold in the middle of their hour, and are joined by lines."""
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(time_zone))
    position = local.hour + local.minute / 60 - 0.5
    before = int(np.floor(position))
    part = position - before
    return hourly[before % HOURS] * (1 - part) + hourly[(before + 1) % HOURS] * part


def _from_curves(scenario: Scenario, rng: np.random.Generator) -> tuple[Floats, Any]:
    """Draw a Poisson process per country, whose rate is constant within each bin."""
    expected = rates(scenario)
    counts = rng.poisson(expected)  # [countries, bins]
    starts = scenario.begins_at + np.arange(expected.shape[1]) * BIN_SECONDS
    lengths = bin_lengths(scenario)
    times = [np.repeat(starts, row) + rng.random(int(row.sum())) * np.repeat(lengths, row) for row in counts]
    countries = np.repeat(np.arange(len(times)), [len(each) for each in times])
    return np.concatenate(times), countries
