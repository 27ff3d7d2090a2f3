"""Ledgers over restarts, changes of leader, steps of the clock, and resources of the same name."""

from dataclasses import replace
from typing import Any

from voxfleet_operator.cost_ledgers import CostLedgers
from voxfleet_operator.decisions.cost.ledger import CLOCK_STEP_SECONDS, Ledger, Rate
from voxfleet_operator.decisions.cost.spending import Spending
from voxfleet_operator.resources import Key, Resource, VoxTTSDeploymentStatus, read_resource
from voxfleet_operator.status.cost_status import to_cost

START = 1_795_000_000.0
AWAKE = (Rate("eu", on_demand_gpus=1, baseline_gpus=1, on_demand_price=3.6),)
KEY = Key("default", "narrator")


class Process:
    """One operator with its clocks, and the seconds that its counters have."""

    def __init__(self) -> None:
        self.ticks, self.counted, self.forgotten = 1000.0, 0.0, list[Key]()
        self.costs = CostLedgers(lambda: self.ticks, self._count, self.forgotten.append)

    def _count(self, _key: Key, spending: dict[str, Spending]) -> None:
        self.counted += sum(spent.on_demand_seconds for spent in spending.values())

    def at(self, now: float, resource: Resource, *, ticks: float | None = None, rates: Any = AWAKE) -> Ledger:
        """Advance to a time of the wall clock, `ticks` seconds after the last by the monotonic one."""
        self.ticks += 1e9 if ticks is None else ticks
        return self.costs.advance(resource, rates, now)


def resource(ledger: Ledger | None = None, uid: str = "u") -> Resource:
    metadata = {"namespace": "default", "name": "narrator", "uid": uid, "generation": 1}
    metadata["creationTimestamp"] = "2026-11-23T20:00:00Z"
    made = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    status = VoxTTSDeploymentStatus(cost=to_cost(ledger) if ledger else None)
    return replace(made, status=status)


def test_a_process_counts_what_passes() -> None:
    process = Process()
    assert process.at(START, resource()).gpu_seconds == 0
    assert process.at(START + 60, resource()).gpu_seconds == 60
    assert process.counted == 60


def test_a_restart_adds_the_time_since_the_status_once_and_counts_none_of_it() -> None:
    first = Process()
    first.at(START, resource())
    written = first.at(START + 600, resource())
    first.at(START + 700, resource(written))
    second = Process()
    assert second.at(START + 730, resource(written)).gpu_seconds == 730
    assert (first.counted, second.counted) == (700, 0), "together never more than has passed"


def test_two_leaders_in_turn_add_every_second_once() -> None:
    one, two = Process(), Process()
    one.at(START, resource())
    written = one.at(START + 100, resource())
    one.at(START + 150, resource(written))  # not written
    written = two.at(START + 200, resource(written))
    written = two.at(START + 300, resource(written))
    back = one.at(START + 400, resource(written))
    assert (back.gpu_seconds, one.counted + two.counted) == (400, 250)


def test_an_own_older_status_is_not_taken_over() -> None:
    process = Process()
    written = process.at(START, resource())
    for seconds in range(10, 100, 10):
        assert process.at(START + seconds, resource(written)).gpu_seconds == seconds


def test_a_cleared_status_loses_nothing_while_the_process_lives() -> None:
    process = Process()
    process.at(START, resource())
    assert process.at(START + 60, resource()).gpu_seconds == 60


def test_a_step_of_the_clock_is_bounded_by_the_monotonic_one() -> None:
    process = Process()
    process.at(START, resource())
    jumped = process.at(START + 1e6, resource(), ticks=10)
    assert jumped.gpu_seconds == 10 + CLOCK_STEP_SECONDS
    back = process.at(START + 20, resource(), ticks=10)
    assert (back.gpu_seconds, back.as_of) == (10 + CLOCK_STEP_SECONDS, START + 20)
    assert process.at(START + 30, resource(), ticks=10).gpu_seconds == 20 + CLOCK_STEP_SECONDS


def test_a_new_resource_of_the_same_name_begins_anew() -> None:
    process = Process()
    process.at(START, resource())
    process.at(START + 60, resource())
    assert process.at(START + 70, resource(uid="another")).gpu_seconds == 0
    process.costs.forget(KEY)
    process.costs.forget(KEY)
    assert process.forgotten == [KEY]


def test_counters_grow_between_reconciles() -> None:
    process = Process()
    process.at(START, resource())
    process.ticks += 100
    process.costs.advance_all(START + 30)
    process.costs.advance_all(START + 60)
    assert process.counted == 60
    assert process.at(START + 90, resource()).gpu_seconds == 90
    assert process.counted == 90
