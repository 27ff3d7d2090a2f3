"""The oracle against what can be computed by hand, and against every policy."""

import numpy as np
import pytest
from voxfleet_simulation.oracle import oracle_delays, oracle_gpu_hours
from voxfleet_simulation.scenario.demand import Arrivals, make_arrivals
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.world.run import Variant
from voxfleet_simulation.world.simulation import simulate


def arrivals(times: list[float], service_seconds: float = 10.0) -> Arrivals:
    count = len(times)
    return Arrivals(np.array(times), np.zeros(count, np.int64), np.full(count, service_seconds), np.zeros(count))


def test_the_oracle_waits_for_a_row_or_goes_elsewhere_whichever_is_sooner(make: object) -> None:
    scenario = make(spec={**SPEC, "serving": {"maxBatchSize": 1}})  # type: ignore[operator]
    near, far = make_round_trips(scenario).to_regions[0]
    begin = scenario.begins_at
    always = ((begin, scenario.ends_at),)
    given = arrivals([begin, begin + 0.001, begin + 0.002, begin + 9.99])
    delays = oracle_delays(scenario, given, (always, always))
    assert delays[0] == pytest.approx(near, abs=1e-6)
    assert delays[1] == pytest.approx(far, abs=1e-6)
    # Both rows are taken: the nearer becomes free first.
    assert delays[2] == pytest.approx(10 + near - 0.002, abs=1e-6)
    assert delays[3] == pytest.approx(10 + far - 9.989, abs=1e-6)


SPEC = {
    "regions": [
        {"name": "eu", "location": {"latitude": "50.1", "longitude": "8.7"}},
        {"name": "us", "location": {"latitude": "38.9", "longitude": "-77.4"}},
    ],
    "autoscaling": {"minReplicas": 1, "maxReplicas": 1, "targetRequestsPerReplica": 2},
    "serving": {"maxBatchSize": 4, "maxQueuedRequests": 10_000},
}


def test_the_oracle_waits_for_a_server_that_will_be_ready(make: object) -> None:
    scenario = make(spec=SPEC)  # type: ignore[operator]
    begin = scenario.begins_at
    delays = oracle_delays(scenario, arrivals([begin, begin + 50]), (((begin + 20, begin + 40),), ()))
    trip = make_round_trips(scenario).to_regions[0][0]
    assert delays[0] == pytest.approx(20 + trip / 2, abs=1e-6)
    assert np.isnan(delays[1])


def test_gpu_hours_count_servers_while_requests_are_open(make: object) -> None:
    scenario = make(spec=SPEC)  # type: ignore[operator]
    begin = scenario.begins_at
    # Three at once need two servers for ten seconds, one later needs one.
    given = arrivals([begin, begin, begin, begin + 100])
    assert oracle_gpu_hours(scenario, given) == pytest.approx((2 * 10 + 10) / 3600)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("policy", ["voxfleet", "nearest", "round-robin"])
def test_no_policy_has_a_smaller_mean_than_the_oracle(make: object, seed: int, policy: str) -> None:
    scenario = make(seed=seed, demand={**DEMAND, "requests": 900})  # type: ignore[operator]
    given = make_arrivals(scenario)
    result = simulate(scenario, given, Variant(policy, policy))
    oracle = oracle_delays(scenario, given, result.lifetimes)
    assert result.records.delay_seconds.mean() >= oracle.mean() - 1e-6


DEMAND = {
    "countries": [
        {"name": "DE", "location": {"latitude": 51.2, "longitude": 10.4}, "share": 2},
        {"name": "US", "location": {"latitude": 40.7, "longitude": -74.0}, "share": 1},
    ]
}
