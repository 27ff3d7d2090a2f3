"""Clients in virtual time: no player has an underrun while the machine is fast enough for all of them.

The players here are the test's own: they know when patches came and when they were due, and nothing of the scheduler.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import (
    CommitResult,
    EngineCapacity,
    Limits,
    RowResult,
    StepPlan,
)

PATCH_SECONDS = 0.16
ROWS, SLOTS = 8, 80
STEP_SECONDS, ROW_SECONDS, CHUNK_SECONDS = 0.010, 0.00125, 0.002
CAPACITY = ROWS * PATCH_SECONDS / (STEP_SECONDS + ROWS * ROW_SECONDS)  # 64 clients
PATIENCE_SECONDS = 1.0  # a longer wait for the first audio is as bad as an underrun
LIMITS = Limits(ROWS, max_waiting=1000)
ENGINE_CAPACITY = EngineCapacity(SLOTS, kv_positions=10**6)


class Order(Protocol):
    """What the machine calls: the scheduler, or a simpler order to compare it with."""

    def submit(self, sequence_id: int, params: SequenceParams, cost: SequenceCost, now: float) -> object: ...
    def schedule(self, now: float) -> StepPlan: ...
    def update(self, plan: StepPlan, results: Iterable[RowResult], now: float) -> CommitResult: ...


class Unordered:
    """What the simpler orders share: sequences with their patches, and no playback."""

    def __init__(self) -> None:
        self.left: dict[int, int] = {}
        self.last_served: dict[int, int] = {}
        self.step = 0

    def submit(self, sequence_id: int, params: SequenceParams, cost: SequenceCost, now: float) -> None:
        del params, now
        self.left[sequence_id] = cost.max_steps
        self.last_served[sequence_id] = 0

    def update(self, plan: StepPlan, results: Iterable[RowResult], now: float) -> CommitResult:
        del plan, results, now
        return CommitResult((), ())

    def take(self, chosen: list[int]) -> StepPlan:
        self.step += 1
        for sequence_id in chosen:
            self.left[sequence_id] -= 1
            self.last_served[sequence_id] = self.step
        return StepPlan(self.step, None, None, tuple(chosen))


class FirstComeFirstServed(Unordered):
    """A row is held until its sequence ends."""

    def schedule(self, now: float) -> StepPlan:
        del now
        return self.take([each for each, left in self.left.items() if left][:ROWS])


class InTurns(Unordered):
    """Every sequence gets a patch before any gets the next."""

    def schedule(self, now: float) -> StepPlan:
        del now
        return self.take(sorted((each for each, left in self.left.items() if left), key=self.last_served.get)[:ROWS])  # type: ignore[arg-type]


@dataclass
class Client:
    """Arrives at a moment and plays so many patches at some speed."""

    arrives_at: float
    patches: int
    speed: float = 1.0
    came_at: list[float] = field(default_factory=list)

    @property
    def first_audio_seconds(self) -> float:
        return self.came_at[0] - self.arrives_at

    @property
    def underruns(self) -> int:
        """How often the player had nothing to play; it goes on when the next patch comes."""
        played_until, count = self.came_at[0], 0
        for came_at in self.came_at:
            count += came_at > played_until + 1e-9
            played_until = max(played_until, came_at) + PATCH_SECONDS / self.speed
        return count

    @property
    def has_failed(self) -> bool:
        return self.underruns > 0 or self.first_audio_seconds > PATIENCE_SECONDS


def play(order: Order, clients: list[Client]) -> None:
    """Run the machine, one step in flight, until every client has all its patches."""
    arriving = deque(sorted(enumerate(clients, 1), key=lambda each: each[1].arrives_at))
    missing = sum(each.patches for each in clients)
    in_flight: tuple[StepPlan, float] | None = None
    now = 0.0
    while missing:
        while arriving and arriving[0][1].arrives_at <= now:
            sequence_id, client = arriving.popleft()
            cost = SequenceCost(prompt_positions=40, max_steps=client.patches)
            order.submit(sequence_id, SequenceParams(speed=client.speed), cost, now)
        plan = order.schedule(now)
        starts_at = now
        if in_flight is not None:
            done, starts_at = in_flight
            for sequence_id in done.rows:
                clients[sequence_id - 1].came_at.append(starts_at)
            missing -= len(done.rows)
            order.update(done, [RowResult(each) for each in done.rows], starts_at)
        now = starts_at
        in_flight = None if plan.is_empty else (plan, starts_at + seconds_of(plan))
        if in_flight is None and arriving:
            now = max(now, arriving[0][1].arrives_at)


def seconds_of(plan: StepPlan) -> float:
    chunk = 0.0 if plan.chunk is None else CHUNK_SECONDS
    return STEP_SECONDS + ROW_SECONDS * len(plan.rows) + chunk


def a_load(seed: int, share_of_capacity: float, speeds: tuple[float, ...] = (1.0,)) -> list[Client]:
    """Clients that arrive within three seconds and play for 10 to 20 s, together so much of the capacity."""
    draw = random.Random(seed)  # noqa: S311 - a test's load
    load: list[Client] = []
    while True:
        speed = draw.choice(speeds)
        if sum(each.speed for each in load) + speed > share_of_capacity * CAPACITY:
            return load
        patches = int(draw.uniform(10, 20) * speed / PATCH_SECONDS)
        load.append(Client(draw.uniform(0, 3), patches, speed))


def count_failed(order: Order, load: list[Client]) -> int:
    play(order, clients := [replace(each, came_at=[]) for each in load])
    return sum(each.has_failed for each in clients)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_no_client_has_an_underrun_below_the_capacity(seed: int) -> None:
    assert count_failed(BatchScheduler(LIMITS, ENGINE_CAPACITY, PATCH_SECONDS), a_load(seed, 0.85)) == 0


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_no_client_has_an_underrun_at_mixed_speeds(seed: int) -> None:
    load = a_load(seed, 0.85, speeds=(0.5, 1.0, 2.0))
    assert count_failed(BatchScheduler(LIMITS, ENGINE_CAPACITY, PATCH_SECONDS), load) == 0


@pytest.mark.parametrize("order", [FirstComeFirstServed, InTurns])
def test_other_orders_have_underruns_under_the_same_load(order: type[FirstComeFirstServed | InTurns]) -> None:
    """The same load and machine, another order."""
    load = a_load(1, 0.85, speeds=(0.5, 1.0, 2.0))
    assert count_failed(BatchScheduler(LIMITS, ENGINE_CAPACITY, PATCH_SECONDS), load) == 0
    assert count_failed(order(), load) > len(load) // 8


def test_beyond_the_capacity_there_are_underruns() -> None:
    """The players of this test can run dry."""
    assert count_failed(BatchScheduler(LIMITS, ENGINE_CAPACITY, PATCH_SECONDS), a_load(1, 1.5)) > 0
