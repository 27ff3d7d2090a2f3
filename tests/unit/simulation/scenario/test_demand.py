"""Arrivals follow the curve of each country's own clock, and the seed alone."""

import numpy as np
import pytest
from voxfleet_simulation.scenario.demand import make_arrivals, rates, service_times, stream
from voxfleet_simulation.scenario.fields import Service

HOURLY = [0.0] * 9 + [1.0] * 8 + [0.0] * 7  # office hours
COUNTRIES = [
    {"name": "DE", "location": {"latitude": 51, "longitude": 10}, "timeZone": "Europe/Berlin", "share": 3},
    {"name": "CN", "location": {"latitude": 31, "longitude": 121}, "timeZone": "Asia/Shanghai", "share": 1},
]
DAY = {"period": {"hours": 24}, "demand": {"requests": 20_000, "hourly": HOURLY, "countries": COUNTRIES}}


def test_each_country_has_its_share_at_its_own_hours(make: object) -> None:
    scenario = make(**DAY)  # type: ignore[operator]
    arrivals = make_arrivals(scenario)
    assert len(arrivals) == pytest.approx(20_000, rel=0.05)
    hours = (arrivals.times - scenario.begins_at) / 3600
    german, chinese = hours[arrivals.countries == 0], hours[arrivals.countries == 1]
    assert len(german) / len(arrivals) == pytest.approx(0.75, abs=0.02)
    assert 7.4 < german.min() < german.max() < 16.6  # Berlin is one hour ahead in November
    assert 0.4 < chinese.min() < chinese.max() < 9.6  # Shanghai eight
    assert np.all(np.diff(arrivals.times) >= 0)


def test_a_burst_multiplies_the_rate_of_its_countries(make: object) -> None:
    demand = {"requests": 1000, "countries": COUNTRIES}
    burst = demand | {"bursts": [{"startHour": 1, "minutes": 60, "factor": 10, "countries": ["DE"]}]}
    expected = rates(make(period={"hours": 3}, demand=burst))  # type: ignore[operator]
    hourly = expected.reshape(2, 3, -1).sum(axis=2)
    assert hourly[0, 1] == pytest.approx(10 * hourly[0, 0])
    assert hourly[1, 1] == pytest.approx(hourly[1, 0])


def test_a_period_that_ends_within_a_bin_has_all_its_requests(make: object) -> None:
    scenario = make(period={"hours": 0.1}, demand={"requests": 5000, "countries": COUNTRIES})  # type: ignore[operator]
    arrivals = make_arrivals(scenario)
    assert len(arrivals) == pytest.approx(5000, rel=0.06)
    assert arrivals.times[-1] < scenario.ends_at
    assert np.mean(arrivals.times >= scenario.begins_at + 300) == pytest.approx(1 / 6, abs=0.03)


def test_equal_seeds_give_equal_arrivals_and_others_do_not(make: object) -> None:
    one, same, other = (make_arrivals(make(seed=seed)) for seed in (1, 1, 2))  # type: ignore[operator]
    assert np.array_equal(one.times, same.times)
    assert np.array_equal(one.service_seconds, same.service_seconds)
    assert not np.array_equal(one.times[:100], other.times[:100])


@pytest.mark.parametrize("distribution", ["exponential", "lognormal", "fixed"])
def test_service_times_have_their_mean(distribution: str) -> None:
    service = Service(mean_seconds=12, distribution=distribution, variation=0.8)  # type: ignore[arg-type]
    drawn = service_times(service, 40_000, stream(1, "service"))
    assert drawn.mean() == pytest.approx(12, rel=0.03)
    assert drawn.min() > 0
