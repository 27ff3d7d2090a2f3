"""Any order of events: every accepted sequence ends exactly once, and no slot or position is given to two."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from voxfleet_inference.engine.messages import Outcome, SequenceEnded, SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost, Slot
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import EngineCapacity, Limits, RowResult, StepPlan

MAX_ROWS, MAX_WAITING, MAX_PARALLEL, MAX_CHUNK = 3, 6, 2, 8
ENGINE_CAPACITY = EngineCapacity(slots=5, kv_positions=120)
LIMITS = Limits(MAX_ROWS, MAX_WAITING, MAX_CHUNK, MAX_PARALLEL, park_above_seconds=1.0, resume_below_seconds=0.4)


class SchedulerMachine(RuleBasedStateMachine):
    """Submissions, cancels, parking, time, deadlines, plans and updates, with at most two steps in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = BatchScheduler(LIMITS, ENGINE_CAPACITY, patch_seconds=0.16)
        self.now = 100.0
        self.in_flight: deque[StepPlan] = deque()
        self.taken: dict[int, tuple[SequenceParams, SequenceCost]] = {}
        self.ends: Counter[int] = Counter()
        self.slots: dict[int, Slot] = {}  # assigned and not released, by sequence
        self.read: Counter[int] = Counter()
        self.planned: Counter[int] = Counter()
        self.finished: list[int] = []
        self.next_id = 1

    def record_ends(self, ended: tuple[SequenceEnded, ...]) -> None:
        self.ends.update(end.sequence_id for end in ended)

    def any_id(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from([*self.taken, 0]))

    @rule(
        request=st.sampled_from([0, 1, 1, 1, 2]),
        rank=st.integers(0, 3),
        priority=st.integers(0, 2),
        prompt=st.integers(1, 20),
        steps=st.integers(1, 12),
        deadline=st.none() | st.floats(0.01, 5.0),
        speed=st.sampled_from([0.5, 1.0, 4.0]),
    )
    def submit(
        self, request: int, rank: int, priority: int, prompt: int, steps: int, deadline: float | None, speed: float
    ) -> None:
        params = SequenceParams(
            request_id=request, rank=rank, priority=priority, speed=speed, deadline_seconds=deadline
        )
        cost = SequenceCost(prompt, steps, prompt)
        waiting = self.batch.occupancy().waiting
        rejection = self.batch.submit(self.next_id, params, cost, self.now)
        assert (rejection is not None) == (waiting >= MAX_WAITING)
        if rejection is None:
            self.taken[self.next_id] = params, cost
        self.next_id += 1

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def restart_sentence(self, data: st.DataObject) -> None:
        """Retry a sentence of which no patch was read; later ones of its request may have its memory now."""
        before = data.draw(st.sampled_from(self.finished))
        params, cost = self.taken[before]
        params = replace(params, deadline_seconds=None)
        if self.batch.submit(self.next_id, params, cost, self.now) is None:
            self.taken[self.next_id] = params, cost
        self.next_id += 1

    @rule(prompt=st.integers(100, 300))
    def submit_what_never_fits(self, prompt: int) -> None:
        rejection = self.batch.submit(self.next_id, SequenceParams(), SequenceCost(prompt, 21), self.now)
        assert rejection is not None
        assert rejection.outcome is Outcome.TOO_LONG

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        sequence_id = self.any_id(data)
        ended = self.batch.cancel(sequence_id)
        assert (ended is not None) == (sequence_id in self.taken and not self.ends[sequence_id])
        self.record_ends((ended,) if ended is not None else ())
        self.freed(self.batch.release_ended([sequence_id]))

    @rule(data=st.data(), parks=st.booleans())
    def park_or_resume(self, data: st.DataObject, *, parks: bool) -> None:
        sequence_id = self.any_id(data)
        if parks:
            self.batch.park(sequence_id)
        else:
            self.batch.resume(sequence_id, self.now)

    @rule(seconds=st.sampled_from([0.01, 0.2, 3.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: len(self.in_flight) < 2)
    @rule()
    def plan(self) -> None:
        plan = self.batch.schedule(self.now)
        self.record_ends(plan.expired)
        self.freed(self.batch.release_ended(ended.sequence_id for ended in plan.expired))
        if plan.admitted is not None:
            self.check_slot(plan.admitted.sequence_id, plan.admitted.slot)
        if plan.chunk is not None:
            self.check_chunk(plan.chunk.sequence_id, plan.chunk.positions)
        self.check_rows(plan)
        if not plan.is_empty:
            self.in_flight.append(plan)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        plan = self.in_flight.popleft()
        results = []
        for sequence_id in plan.rows:
            kind = data.draw(st.sampled_from(["goes on", "goes on", "ends next", "ends", "fails", "was skipped"]))
            if kind != "was skipped" or not self.ends[sequence_id]:
                failure = "ValueError: no" if kind == "fails" else ""
                results.append(RowResult(sequence_id, kind == "ends", kind == "ends next", failure))
        result = self.batch.update(plan, results, self.now)
        self.record_ends(result.ended)
        self.freed(result.released)
        self.finished += [end.sequence_id for end in result.ended if end.outcome is Outcome.FINISHED]

    def check_slot(self, sequence_id: int, slot: Slot) -> None:
        assert slot.positions == self.taken[sequence_id][1].positions
        assert 0 <= slot.index < ENGINE_CAPACITY.slots
        assert slot.index not in {other.index for other in self.slots.values()}
        self.slots[sequence_id] = slot
        used = sorted((each.first_position, each.first_position + each.positions) for each in self.slots.values())
        assert used[0][0] >= 0
        assert used[-1][1] <= ENGINE_CAPACITY.kv_positions
        assert all(end <= start for (_, end), (start, _) in pairwise(used))

    def check_chunk(self, sequence_id: int, positions: int) -> None:
        assert 1 <= positions <= MAX_CHUNK
        assert sequence_id in self.slots
        self.read[sequence_id] += positions
        assert self.read[sequence_id] <= self.taken[sequence_id][1].prompt_positions

    def check_rows(self, plan: StepPlan) -> None:
        assert len(plan.rows) == len(set(plan.rows)) <= MAX_ROWS
        for sequence_id in plan.rows:
            cost = self.taken[sequence_id][1]
            assert not self.ends[sequence_id]
            assert sequence_id in self.slots
            assert self.read[sequence_id] == cost.prompt_positions
            self.planned[sequence_id] += 1
            assert self.planned[sequence_id] <= cost.max_steps

    def freed(self, sequence_ids: tuple[int, ...]) -> None:
        for sequence_id in sequence_ids:
            assert self.ends[sequence_id] == 1
            assert not any(sequence_id in plan.names for plan in self.in_flight)
            del self.slots[sequence_id]

    @invariant()
    def bounds_hold_and_ends_are_reported_once(self) -> None:
        count = self.batch.occupancy()
        assert count.waiting <= MAX_WAITING
        assert count.slots_used == len(self.slots) <= ENGINE_CAPACITY.slots
        assert (
            count.kv_positions_used
            == sum(slot.positions for slot in self.slots.values())
            <= ENGINE_CAPACITY.kv_positions
        )
        assert all(times == 1 for times in self.ends.values())
        assert set(self.ends) <= set(self.taken)

    @invariant()
    def no_request_has_more_slots_than_max_parallel_sentences(self) -> None:
        assigned = Counter(self.taken[each][0].request_id for each in self.slots if not self.ends[each])
        assert all(count <= MAX_PARALLEL for request_id, count in assigned.items() if request_id)

    def next_played(self) -> list[int]:
        """Of each request the first sentence that has not ended: no later one is read before it."""
        first: dict[int, int] = {}
        for sequence_id in sorted(set(self.taken) - set(self.ends), key=lambda each: (self.taken[each][0].rank, each)):
            first.setdefault(self.taken[sequence_id][0].request_id or -sequence_id, sequence_id)
        return list(first.values())

    def teardown(self) -> None:
        """After any history: if clients read what they play next, every sequence ends and everything is free."""
        for sequence_id in self.taken:
            self.batch.park(sequence_id)
        for _ in range(600):
            for sequence_id in self.next_played():
                self.batch.resume(sequence_id, self.now)
            if not self.in_flight:
                self.plan()
            if self.in_flight:
                plan = self.in_flight.popleft()
                results = tuple(RowResult(each) for each in plan.rows)
                result = self.batch.update(plan, results, self.now)
                self.record_ends(result.ended)
                self.freed(result.released)
            self.now += 0.05
        assert self.ends == Counter(list(self.taken))
        count = self.batch.occupancy()
        assert (count.waiting, count.slots_used, count.kv_positions_used) == (0, 0, 0)


SchedulerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
