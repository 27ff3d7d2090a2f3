"""A study of a scenario: the product's run, the runs that it is compared with, the oracle, sweeps, and its goals.

Knows which runs there are and how constant replicas are sized. Does not know how any of it is shown.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from time import process_time

import numpy as np
from numpy.typing import NDArray

from voxfleet_simulation.oracle import oracle_delays, oracle_gpu_hours
from voxfleet_simulation.results.statistics import Delays, Statistics, delays_of, statistics_of
from voxfleet_simulation.scenario.demand import Arrivals
from voxfleet_simulation.scenario.round_trips import make_round_trips
from voxfleet_simulation.scenario.scenario import Scenario
from voxfleet_simulation.world.run import RunResult, Variant
from voxfleet_simulation.world.simulation import simulate

PRODUCT, AT_PEAK, AT_MEAN = "voxfleet", "constant at the peak", "constant at the mean"
COMPARISONS = (AT_PEAK, AT_MEAN, "nearest", "round-robin")
DEMAND_SECONDS = 60.0  # of a mean: shorter peaks are waited out in queues
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Oracle:
    """What a clairvoyant oracle reaches (oracle.py has the definition)."""

    delays: Delays
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One value of a sweep, and what follows from it."""

    value: float
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise of the scenario."""

    name: str
    goal: float
    measured: float
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that was computed about a scenario."""

    scenario: Scenario
    runs: dict[str, Statistics]
    results: dict[str, RunResult]
    oracle: Oracle
    goals: tuple[Goal, ...] = ()
    idle_sweep: tuple[SweepPoint, ...] = ()
    price_sweep: tuple[SweepPoint, ...] = ()
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    constant: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One run: a process of its own may do it."""

    scenario: Scenario
    arrivals: Arrivals
    variant: Variant


def constant_replicas(scenario: Scenario, arrivals: Arrivals) -> dict[str, tuple[int, ...]]:
    """Return the replicas of each region that carry its clients' demand at its peak, and at its mean.

    Demand is the number of open requests of the clients to which the region is the nearest, each served at once, at
    `targetRequestsPerReplica` each; the peak is the highest mean of a minute. One server at least.
    """
    home = np.argmin(np.array(make_round_trips(scenario).to_regions), axis=1)[arrivals.countries]
    peak, mean = [], []
    for index, region in enumerate(scenario.spec.regions):
        target = scenario.autoscaling(region).target_requests_per_replica
        begins = arrivals.times[home == index]
        demand = open_requests(scenario, begins, begins + arrivals.service_seconds[home == index]) / target
        peak.append(max(1, int(np.ceil(demand.max(initial=0)))))
        mean.append(max(1, int(np.ceil(demand.mean()))))
    return {AT_PEAK: tuple(peak), AT_MEAN: tuple(mean)}


def open_requests(scenario: Scenario, begins: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean number of open requests in each minute of the period."""
    edges = np.append(np.arange(scenario.begins_at, scenario.ends_at, DEMAND_SECONDS), scenario.ends_at)
    # Seconds that requests have been open before each edge.
    open_before = _seconds_before(begins, edges) - _seconds_before(ends, edges)
    return np.diff(open_before) / np.diff(edges)


def _seconds_before(times: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each edge the sum of what has passed since each time before it."""
    ordered = np.sort(times) - edges[0]
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    counts = np.searchsorted(ordered, edges - edges[0])
    passed: NDArray[np.float64] = counts * (edges - edges[0]) - sums[counts]
    return passed


def variants(names: Iterable[str], constant: dict[str, tuple[int, ...]]) -> list[Variant]:
    """Return the runs of these names."""
    found = []
    for name in names:
        policy = name if name in {"nearest", "round-robin"} else PRODUCT
        found.append(Variant(name, policy, constant.get(name)))
    return found


def run_task(task: Task) -> tuple[RunResult, float]:
    """Run once; return the result and the processor time."""
    began = process_time()
    result = simulate(task.scenario, task.arrivals, task.variant)
    return result, process_time() - began


def run_tasks(tasks: list[Task], jobs: int, on_progress: Progress) -> list[tuple[RunResult, float]]:
    """Run all, several at once; the results do not depend on how many."""
    if jobs == 1 or len(tasks) == 1:
        done = []
        for task in tasks:
            done.append(run_task(task))
            on_progress(_line(task, done[-1]))
        return done
    with ProcessPoolExecutor(min(jobs, len(tasks))) as pool:
        results = []
        for task, result in zip(tasks, pool.map(run_task, tasks), strict=True):
            results.append(result)
            on_progress(_line(task, result))
        return results


def _line(task: Task, done: tuple[RunResult, float]) -> str:
    result, seconds = done
    rate = result.events / max(seconds, 1e-9)
    counts = f"{result.records.count} requests, {result.events} events"
    return f"{task.variant.name}: {counts}, {seconds:.1f} s, {rate:.0f} events/s"


def study(  # noqa: PLR0913 - what is run, what beside it, and how
    scenario: Scenario,
    arrivals: Arrivals,
    names: tuple[str, ...],
    jobs: int,
    on_progress: Progress,
    *,
    sweeps: bool = True,
) -> Study:
    """Run a scenario, its comparisons and its sweeps."""
    constant = constant_replicas(scenario, arrivals)
    main = [Task(scenario, arrivals, each) for each in variants((PRODUCT, *names), constant)]
    idle = [_with_idle_timeout(scenario, arrivals, each) for each in scenario.sweeps.idle_timeout_seconds if sweeps]
    weights = [each for each in scenario.sweeps.price_weight if sweeps]
    priced = [Task(scenario, arrivals, Variant(f"price weight {each:g}", price_weight=each)) for each in weights]
    done = run_tasks([*main, *idle, *priced], jobs, on_progress)
    results = {task.variant.name: result for task, (result, _) in zip(main, done[: len(main)], strict=True)}
    product = results[PRODUCT]
    oracle = Oracle(
        delays_of(oracle_delays(scenario, arrivals, product.lifetimes)), oracle_gpu_hours(scenario, arrivals)
    )
    runs = {name: statistics_of(scenario, result) for name, result in results.items()}
    rest = [statistics_of(scenario, result) for result, _ in done[len(main) :]]
    idle_values = [float(each) for each in scenario.sweeps.idle_timeout_seconds]
    return Study(
        scenario,
        runs,
        results,
        oracle,
        goals_of(scenario, runs, oracle),
        tuple(SweepPoint(value, each) for value, each in zip(idle_values, rest, strict=False)) if idle else (),
        tuple(SweepPoint(value, each) for value, each in zip(weights, rest[len(idle) :], strict=True)),
        {task.variant.name: seconds for task, (_, seconds) in zip(main, done, strict=False)},
        constant,
    )


def _with_idle_timeout(scenario: Scenario, arrivals: Arrivals, seconds: int) -> Task:
    """Return a run with another idle timeout in every region."""
    regions = []
    for region in scenario.spec.regions:
        override = (
            region.autoscaling.model_copy(update={"idle_timeout_seconds": seconds}) if region.autoscaling else None
        )
        regions.append(region.model_copy(update={"autoscaling": override}))
    common = scenario.spec.autoscaling.model_copy(update={"idle_timeout_seconds": seconds})
    spec = scenario.spec.model_copy(update={"regions": regions, "autoscaling": common})
    return Task(scenario.model_copy(update={"spec": spec}), arrivals, Variant(f"idle timeout {seconds} s"))


def goals_of(scenario: Scenario, runs: dict[str, Statistics], oracle: Oracle) -> tuple[Goal, ...]:
    """Return the scenario's goals and what was measured; those against a run that was left out are left out too."""
    goals, own, peak = scenario.goals, runs[PRODUCT], runs.get(AT_PEAK)
    found = []
    if goals.oracle_delay_ratio is not None:
        ratio = own.all.mean / oracle.delays.mean
        found.append(_at_most("mean start delay / oracle's", goals.oracle_delay_ratio, ratio))
    if goals.gpu_hours_saved is not None and peak is not None:
        found.append(_at_least("GPU-hours saved", goals.gpu_hours_saved, 1 - own.gpu_hours / peak.gpu_hours))
    if goals.money_saved is not None and peak is not None and peak.money:
        found.append(_at_least("money saved", goals.money_saved, 1 - own.money / peak.money))
    if goals.p95_ratio is not None and peak is not None:
        ratio = own.outside_wakes.p95 / peak.outside_wakes.p95
        found.append(_at_most("p95 outside wakes / constant at the peak", goals.p95_ratio, ratio))
    if goals.lost is not None:
        found.append(_at_most("requests lost", goals.lost, own.lost))
    return tuple(found)


def _at_most(name: str, goal: float, measured: float) -> Goal:
    return Goal(name, goal, measured, measured <= goal)


def _at_least(name: str, goal: float, measured: float) -> Goal:
    return Goal(name, goal, measured, measured >= goal)
