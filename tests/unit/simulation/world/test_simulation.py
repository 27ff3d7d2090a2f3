"""The simulated world: queues as in theory, every request ends once, equal seeds give equal runs, regions sleep."""

import math
from heapq import heapreplace
from typing import Any

import numpy as np
import pytest
from voxfleet_simulation.errors import SimulationError
from voxfleet_simulation.scenario.demand import make_arrivals
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.scenario.scenario import Scenario
from voxfleet_simulation.world.requests import Outcome, Records, Request
from voxfleet_simulation.world.run import RunResult, Variant
from voxfleet_simulation.world.simulation import build, simulate

EU = {"name": "eu", "location": {"latitude": "50.1", "longitude": "8.7"}, "pricePerGpuHour": {"onDemand": "1"}}
US = {"name": "us", "location": {"latitude": "38.9", "longitude": "-77.4"}}
DE = {"name": "DE", "location": {"latitude": 51.2, "longitude": 10.4}}
SLEEPY = {"minReplicas": 0, "maxReplicas": 3, "targetRequestsPerReplica": 2, "idleTimeoutSeconds": 60}
QUICK = {"node": {"median": 20, "p95": 30}, "start": {"median": 5, "p95": 8}}


def run(scenario: Scenario, policy: str = "voxfleet") -> RunResult:
    return simulate(scenario, make_arrivals(scenario), Variant(policy, policy))


def erlang_c(servers: int, load: float) -> float:
    """The probability of waiting in M/M/c."""
    terms = [load**count / math.factorial(count) for count in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("rows", "utilization"), [(1, 0.5), (4, 0.8)])
def test_the_wait_for_a_row_is_that_of_an_mmc_queue(make: Any, rows: int, utilization: float) -> None:
    hours, service_seconds = 0.6, 2.0
    rate = utilization * rows / service_seconds
    means, waited = [], []
    for seed in range(6):
        scenario = make(
            seed=seed,
            period={"hours": hours},
            spec={
                "regions": [EU],
                "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
                "serving": {"maxBatchSize": rows, "maxQueuedRequests": 10_000},
            },
            demand={"requests": round(rate * hours * 3600), "countries": [DE]},
        )
        delays = run(scenario).records.delay_seconds - make_round_trips(scenario).to_regions[0][0]
        means.append(delays.mean())
        waited.append((delays > 1e-5).mean())
    probability = erlang_c(rows, utilization * rows)
    wait_seconds = probability * service_seconds / (rows * (1 - utilization))
    # Six independent runs: their own standard error bounds the difference.
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    assert abs(np.mean(means) - wait_seconds) < 4 * error + 0.02 * wait_seconds
    assert np.mean(waited) == pytest.approx(probability, abs=0.06)


STORM: dict[str, Any] = {
    "period": {"hours": 0.6},
    "spec": {
        "regions": [EU, US],
        "capacity": {"spot": "Preferred"},
        "autoscaling": SLEEPY,
        "gateway": {"maxHeldRequests": 20},
        "disruption": {"drainSeconds": 5},
        "serving": {"maxBatchSize": 2, "maxQueuedRequests": 3},
    },
    "demand": {"requests": 500, "countries": [DE]},
    "service": {"meanSeconds": 6},
    "gateways": {"holdSeconds": 30},
    "machines": QUICK | {"reclaimsPerNodeHour": 20, "noticeSeconds": 3, "mostSpot": 2},
    "outages": [{"region": "eu", "startHour": 0.25, "minutes": 4}],
}


def test_every_wait_is_that_of_the_queue_s_own_recursion(make: Any) -> None:
    spec = {
        "regions": [EU],
        "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
        "serving": {"maxBatchSize": 4, "maxQueuedRequests": 10_000},
    }
    scenario = make(spec=spec, period={"hours": 0.25}, demand={"requests": 1600, "countries": [DE]})
    arrivals = make_arrivals(scenario)
    free_at, expected = [0.0] * 4, []
    for at, seconds in zip(arrivals.times, arrivals.service_seconds, strict=True):
        begin = max(at, free_at[0])
        expected.append(begin - at)
        heapreplace(free_at, begin + seconds)
    delays = run(scenario).records.delay_seconds - make_round_trips(scenario).to_regions[0][0]
    assert max(expected) > 1
    assert delays == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("policy", ["voxfleet", "nearest", "round-robin"])
def test_every_request_ends_once_whatever_happens(make: Any, policy: str) -> None:
    result = run(make(**STORM), policy)
    outcomes = result.records.outcome
    assert result.records.ended == len(outcomes)
    assert (outcomes != Outcome.OPEN).all()
    served = outcomes == Outcome.SERVED
    assert np.isnan(result.records.delay_seconds[~served]).all()
    assert (result.records.delay_seconds[served] > 0).all()
    assert set(np.unique(outcomes)) > {Outcome.SERVED}  # faults had their effect
    assert sum(result.records.routes.values()) == len(outcomes)


def test_a_second_end_of_a_request_is_an_error() -> None:
    records, request = Records(1), Request(0, 0.0, 0, 1.0)
    records.end(request, Outcome.SERVED, 0.1)
    with pytest.raises(SimulationError, match="request 0 has ended before, as SERVED"):
        records.end(request, Outcome.REFUSED)


def test_equal_seeds_give_equal_runs(make: Any) -> None:
    one, same, other = (run(make(**STORM, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.records.delay_seconds, same.records.delay_seconds, equal_nan=True)
    assert one.bills == same.bills
    assert one.events == same.events
    assert one.bills != other.bills


def test_a_region_sleeps_is_woken_and_billed_for_what_ran(make: Any) -> None:
    spec = {"regions": [EU], "autoscaling": SLEEPY, "serving": {"maxBatchSize": 4, "maxQueuedRequests": 10}}
    scenario = make(period={"hours": 6}, spec=spec, machines=QUICK, demand={"requests": 12, "countries": [DE]})
    result = run(scenario)
    assert result.wakes > 1
    held = result.records.held_seconds[result.records.is_wake]
    assert len(held) >= result.wakes
    assert held.max() < 120
    hours = sum(end - begin for _, begin, end in result.bills[0]) / 3600
    # Boot, start, service, idle timeout, two polls until zero, the node's own time: two to five minutes a wake.
    assert result.wakes * 90 / 3600 < hours < result.wakes * 300 / 3600


def test_constant_replicas_run_all_the_time_on_demand(make: Any) -> None:
    scenario = make()
    result = simulate(scenario, make_arrivals(scenario), Variant("constant", constant=(3, 1)))
    for bill, count in zip(result.bills, (3, 1), strict=True):
        assert sum(end - begin for _, begin, end in bill) == pytest.approx(count * 1800)
        assert {pool for pool, _, _ in bill} == {"ondemand"}


def test_a_drought_moves_servers_to_on_demand_and_back(make: Any) -> None:
    spec = {
        "regions": [EU],
        "capacity": {"spot": "Preferred", "spotFallbackSeconds": 30},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 2},
        "serving": {"maxBatchSize": 4, "maxQueuedRequests": 100},
    }
    machines = QUICK | {"droughts": [{"startHour": 0.5, "hours": 1}], "noticeSeconds": 60}
    scenario = make(period={"hours": 3}, spec=spec, machines=machines, demand={"requests": 600, "countries": [DE]})
    result = run(scenario)
    assert (result.records.outcome == Outcome.SERVED).all()
    middle = scenario.begins_at + 1.4 * 3600
    late = scenario.ends_at - 60
    pools = [{pool for pool, begin, end in result.bills[0] if begin < at < end} for at in (middle, late)]
    assert pools == [{"ondemand"}, {"spot"}]


def test_a_gateway_knows_what_is_in_its_own_pods_and_has_old_reports_of_others(make: Any) -> None:
    spec = {
        "regions": [EU, US],
        "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
        "serving": {"maxBatchSize": 2, "maxQueuedRequests": 10_000},
    }
    scenario = make(spec=spec, demand={"requests": 2400, "countries": [DE]})
    world = build(scenario, make_arrivals(scenario), Variant("voxfleet"))
    gateway, own, elsewhere = world.gateways[0], [], []
    policy = gateway.policy

    def checked(standings: Any, request: Any) -> Any:
        views = [standing.view for standing in standings]
        true = [region.open_requests for region in world.regions]
        own.append(views[0].running + views[0].waiting - true[0])
        elsewhere.append(views[1].running + views[1].waiting - true[1])
        assert views[1].is_remote
        return policy(standings, request)

    gateway.policy = checked
    result = world.run()
    assert result.records.routes["spill-load"] > 100
    assert set(own) == {0}
    # No other gateway sends: only ends and sends are late by the way between the regions.
    assert np.mean(np.abs(elsewhere)) < 0.1
