"""How constant replicas are sized."""

from typing import Any

import numpy as np
import pytest
from voxfleet_simulation.results.study import AT_MEAN, AT_PEAK, constant_replicas, open_requests
from voxfleet_simulation.scenario.demand import Arrivals


def test_open_requests_are_integrated_exactly(make: Any) -> None:
    scenario = make(period={"hours": 0.05})  # three minutes
    begins = scenario.begins_at + np.array([0.0, 30.0, 90.0])
    ends = begins + np.array([60.0, 60.0, 600.0])  # the last one ends after the period
    assert open_requests(scenario, begins, ends) == pytest.approx([1.5, 1.0, 1.0])


def test_the_peak_is_the_highest_minute_and_the_mean_that_of_the_period(make: Any) -> None:
    spec = {"regions": make().spec.model_dump(by_alias=True, mode="json")["regions"][:1]}
    spec |= {"autoscaling": {"minReplicas": 1, "maxReplicas": 9, "targetRequestsPerReplica": 2}}
    scenario = make(spec=spec, period={"hours": 0.1})
    times = scenario.begins_at + np.array([120.0] * 7)
    arrivals = Arrivals(times, np.zeros(7, np.int64), np.full(7, 60.0), np.zeros(7))
    assert constant_replicas(scenario, arrivals) == {AT_PEAK: (4,), AT_MEAN: (1,)}


def test_no_demand_takes_one_server(make: Any) -> None:
    none = np.zeros(0)
    arrivals = Arrivals(none, none.astype(np.int64), none, none)
    assert set(constant_replicas(make(), arrivals).values()) == {(1, 1)}
