from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_inference.engine.batch_scheduler import BatchScheduler, Ended, Limits, Plan, QueueFull, RowResult
from voxfleet_inference.engine.sequences import HOLDS_A_ROW, Outcome, State

MAX_ROWS, MAX_WAITING = 3, 4


def scheduler(max_rows: int = MAX_ROWS, max_waiting: int = MAX_WAITING) -> BatchScheduler:
    return BatchScheduler(Limits(max_rows, max_waiting))


def went_on(plan: Plan) -> tuple[RowResult, ...]:
    return tuple(RowResult(sequence_id) for sequence_id in plan.rows)


def test_a_sequence_is_prefilled_once_and_then_takes_every_step() -> None:
    batch = scheduler()
    batch.submit(1)
    first, second = batch.plan(0.0), batch.plan(0.1)
    assert (first.prefill, first.rows) == (1, (1,))
    assert (second.prefill, second.rows) == (None, (1,))


def test_one_prefill_per_step() -> None:
    batch = scheduler()
    batch.submit(1)
    batch.submit(2)
    assert batch.plan(0.0).rows == (1,)
    assert batch.plan(0.0).rows == (1, 2)


def test_first_sentences_go_before_later_ones() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(1, rank=1)
    batch.submit(2, rank=0)
    assert batch.plan(0.0).prefill == 2


def test_a_full_queue_refuses_with_its_numbers() -> None:
    batch = scheduler(max_waiting=1)
    assert batch.submit(1) is None
    assert batch.submit(2) == QueueFull(waiting=1, max_waiting=1)
    assert not batch.knows(2)


def test_an_id_in_use_is_refused() -> None:
    batch = scheduler()
    batch.submit(1)
    with pytest.raises(ValueError, match="sequence 1 is already waiting"):
        batch.submit(1)


def test_a_row_is_reused_only_after_its_last_step_in_flight() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(1)
    batch.submit(2)
    first = batch.plan(0.0)
    second = batch.plan(0.1)
    committed = batch.commit((RowResult(1, Outcome.FINISHED),))
    assert committed.ended == (Ended(1, Outcome.FINISHED),)
    assert committed.released == ()
    assert batch.plan(0.2).is_empty
    assert batch.commit(went_on(second)).released == (1,)
    assert batch.plan(0.3).prefill == 2
    assert first.step == second.step - 1


@pytest.mark.parametrize("steps_in_flight", [0, 1, 2])
def test_a_cancelled_sequence_takes_no_further_step(steps_in_flight: int) -> None:
    batch = scheduler()
    batch.submit(1)
    plans = [batch.plan(float(step)) for step in range(steps_in_flight)]
    assert batch.cancel(1) == Ended(1, Outcome.CANCELLED)
    assert batch.cancel(1) is None
    assert batch.plan(9.0).is_empty
    for plan in plans:
        assert batch.commit(went_on(plan)).ended == ()
    assert not batch.knows(1)


def test_a_parked_sequence_skips_steps_and_keeps_its_row() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(1)
    batch.commit(went_on(batch.plan(0.0)))
    batch.park(1)
    batch.submit(2)
    assert batch.plan(1.0).is_empty
    batch.resume(1)
    assert batch.plan(2.0).rows == (1,)


def test_a_parked_sequence_can_be_cancelled_and_frees_its_row() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(1)
    batch.commit(went_on(batch.plan(0.0)))
    batch.park(1)
    assert batch.cancel(1) == Ended(1, Outcome.CANCELLED)
    assert batch.forget_ended() == (1,)
    batch.submit(2)
    assert batch.plan(1.0).prefill == 2


def test_parking_or_resuming_at_the_wrong_moment_changes_nothing() -> None:
    batch = scheduler()
    batch.park(99)
    batch.submit(1)
    batch.park(1)
    batch.resume(1)
    assert batch.plan(0.0).rows == (1,)


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of submissions, cancels, parkings, plans and commits, with one step in flight at most two deep."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = scheduler()
        self.in_flight: deque[Plan] = deque()
        self.taken: set[int] = set()
        self.ends: dict[int, int] = {}
        self.next_id = 1

    def count(self, ended: tuple[Ended, ...]) -> None:
        for end in ended:
            self.ends[end.sequence_id] = self.ends.get(end.sequence_id, 0) + 1

    @rule(rank=st.integers(0, 2))
    def submit(self, rank: int) -> None:
        waiting = self.batch.count(State.WAITING)
        refused = self.batch.submit(self.next_id, rank)
        assert (refused is not None) == (waiting >= MAX_WAITING)
        if refused is None:
            self.taken.add(self.next_id)
        self.next_id += 1

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ended = self.batch.cancel(data.draw(st.integers(0, self.next_id)))
        self.count((ended,) if ended is not None else ())

    @rule(data=st.data(), parks=st.booleans())
    def park_or_resume(self, data: st.DataObject, *, parks: bool) -> None:
        sequence_id = data.draw(st.integers(0, self.next_id))
        (self.batch.park if parks else self.batch.resume)(sequence_id)

    @rule()
    def plan(self) -> None:
        if len(self.in_flight) >= 2:
            return
        plan = self.batch.plan(0.0)
        assert len(plan.rows) == len(set(plan.rows)) <= MAX_ROWS
        assert not any(sequence_id in self.ends for sequence_id in plan.rows)
        if not plan.is_empty:
            self.in_flight.append(plan)

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if not self.in_flight:
            return
        outcomes = st.sampled_from([None, None, Outcome.FINISHED, Outcome.FAILED])
        results = tuple(RowResult(sequence_id, data.draw(outcomes)) for sequence_id in self.in_flight.popleft().rows)
        self.count(self.batch.commit(results).ended)

    @invariant()
    def rows_are_bounded_and_ends_are_told_once(self) -> None:
        assert self.batch.count(*HOLDS_A_ROW) <= MAX_ROWS
        assert self.batch.count(State.WAITING) <= MAX_WAITING
        assert all(times == 1 for times in self.ends.values())
        assert set(self.ends) <= self.taken

    def teardown(self) -> None:
        """Whatever happened, finishing every step brings every taken sequence to exactly one end."""
        for sequence_id in self.taken:
            self.batch.resume(sequence_id)
        for _ in range(200):
            if not self.in_flight:
                self.in_flight.append(self.batch.plan(0.0))
            plan = self.in_flight.popleft()
            self.count(self.batch.commit(tuple(RowResult(each, Outcome.FINISHED) for each in plan.rows)).ended)
            self.batch.forget_ended()
        assert self.ends == dict.fromkeys(self.taken, 1)
        assert self.batch.count(*State) == 0


SchedulerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
