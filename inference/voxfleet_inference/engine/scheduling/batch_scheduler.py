"""The batch scheduler: which sequences take the next step, and how each of them ends.

`schedule` plans a step, `update` takes in what a step made; up to two steps may be in flight between them.

Knows: every sequence, its slot, the steps in flight that use it, and its deadline. policy.py decides; here it takes
effect.
Does not know: torch, text, audio, clocks (moments are arguments) or where results go.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from voxfleet_inference.engine.messages import Occupancy, Outcome, SequenceEnded, SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost
from voxfleet_inference.engine.scheduling.plans import (
    Admitted,
    Chunk,
    CommitResult,
    EngineCapacity,
    Limits,
    RowResult,
    StepPlan,
)
from voxfleet_inference.engine.scheduling.policy import Candidate, choose_admission, choose_parking, in_order
from voxfleet_inference.engine.scheduling.sequences import SequenceTable
from voxfleet_inference.engine.scheduling.slot_allocator import SlotAllocator
from voxfleet_inference.engine.scheduling.states import Event, State


class BatchScheduler:
    """Keeps the sequences; every one that was accepted ends exactly once."""

    def __init__(self, limits: Limits, capacity: EngineCapacity, patch_seconds: float) -> None:
        self._limits, self._capacity = limits, capacity
        self._table = SequenceTable(patch_seconds)
        self._allocator = SlotAllocator(capacity)
        # A heap of (monotonic second, sequence id, seconds given); sequences that end before stay in it.
        self._deadlines: list[tuple[float, int, float]] = []
        self._step = 0
        self._scheduled_at: float | None = None

    def submit(self, sequence_id: int, params: SequenceParams, cost: SequenceCost, now: float) -> SequenceEnded | None:
        """Put a sequence into the queue, or return why it is rejected.

        Raises:
            ValueError: the id is already in use.
        """
        known = self._table.by_id.get(sequence_id)
        if known is not None:
            raise ValueError(f"sequence {sequence_id} is already {known.state.value}")
        reason = self._allocator.rejection_reason(cost.positions)
        if reason:
            return SequenceEnded(sequence_id, Outcome.TOO_LONG, reason)
        waiting, max_waiting = self._table.waiting, self._limits.max_waiting
        if waiting >= max_waiting:
            message = f"the engine's queue is full: {waiting} of {max_waiting} sentences wait"
            return SequenceEnded(sequence_id, Outcome.QUEUE_FULL, message)
        self._table.add(sequence_id, params, cost, now)
        if params.deadline_seconds is not None:
            heapq.heappush(self._deadlines, (now + params.deadline_seconds, sequence_id, params.deadline_seconds))
        return None

    def cancel(self, sequence_id: int) -> SequenceEnded | None:
        """End a sequence in any state; None when it has ended already."""
        return self._table.end(sequence_id, Outcome.CANCELLED)

    def park(self, sequence_id: int) -> None:
        """Make nothing for a sequence until `resume`, because its client does not read."""
        sequence = self._table.by_id.get(sequence_id)
        if sequence is None or sequence.is_unread:
            return
        sequence.is_unread = True
        if sequence.allows(Event.PARK):
            sequence.apply(Event.PARK)

    def resume(self, sequence_id: int, now: float, unread_patches: int = 0) -> None:
        """Go on with a sequence whose client reads again.

        The client may have played all the while, but not the `unread_patches` that it has yet to read.
        """
        sequence = self._table.by_id.get(sequence_id)
        if sequence is None or not sequence.is_unread or sequence.state is State.LEAVING:
            return
        request, rank = sequence.request, sequence.params.rank
        if rank == request.next_played:
            request.playback.has_at_least(unread_patches, rank, now)
        sequence.is_unread, sequence.served_at = False, now
        if sequence.allows(Event.RESUME):
            sequence.apply(Event.RESUME)

    def schedule(self, now: float) -> StepPlan:
        """Plan the next step, at monotonic second `now`."""
        expired = self._expire(now)
        admitted = self._admit(now)
        candidates = in_order(self._table.runnable(), now)
        self._park_and_resume(candidates, now)  # before the chunk, which may make its sequence a running one
        chunk = self._next_chunk(candidates, now)
        rows = self._next_rows(candidates, now)
        self._step += bool(admitted or chunk or rows)
        least_slack = min((each.slack_seconds for each in candidates), default=None)
        plan = StepPlan(self._step, admitted, chunk, rows, expired, least_slack)
        for sequence_id in plan.names:
            self._table.by_id[sequence_id].steps_in_flight += 1
        return plan

    def update(self, plan: StepPlan, results: Iterable[RowResult], now: float) -> CommitResult:
        """Take in what the oldest step in flight made."""
        ended: list[SequenceEnded] = []
        underruns = 0
        for result in results:
            underruns += self._take_patch(result, now)
            end = self._end_after(result)
            ended += [end] if end is not None else []
        for sequence_id in plan.names:
            self._table.by_id[sequence_id].steps_in_flight -= 1
        return CommitResult(tuple(ended), self.release_ended(plan.names), underruns)

    def release_ended(self, sequence_ids: Iterable[int]) -> tuple[int, ...]:
        """Free the slots of those that have ended and that no step in flight uses; returns their ids."""
        released: list[int] = []
        for sequence_id in sequence_ids:
            slot = self._table.collect(sequence_id)
            if slot is not None:
                self._allocator.free(slot)
                released.append(sequence_id)
        return tuple(released)

    def knows(self, sequence_id: int) -> bool:
        """Whether this sequence waits or has a slot."""
        return sequence_id in self._table.by_id

    @property
    def next_deadline(self) -> float | None:
        """Monotonic second at which to schedule even if nothing else happens."""
        return self._deadlines[0][0] if self._deadlines else None

    def occupancy(self) -> Occupancy:
        """How many sequences are in which state, and what is in use."""
        states = [each.state for each in self._table.assigned.values()]
        return Occupancy(
            running=len(states) - states.count(State.LEAVING),
            waiting=self._table.waiting,
            prefilling=states.count(State.PREFILLING),
            parked=states.count(State.PARKED),
            slots_used=self._allocator.slots_used,
            slots=self._capacity.slots,
            kv_positions_used=self._allocator.kv_positions_used,
            kv_positions=self._capacity.kv_positions,
        )

    def _expire(self, now: float) -> tuple[SequenceEnded, ...]:
        """End the sequences whose deadline has passed."""
        expired: list[SequenceEnded] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, sequence_id, seconds = heapq.heappop(self._deadlines)
            message = f"the sentence was not spoken within {seconds:g} seconds"
            end = self._table.end(sequence_id, Outcome.EXPIRED, message)
            expired += [end] if end is not None else []
        return tuple(expired)

    def _admit(self, now: float) -> Admitted | None:
        if not self._table.waiting or not self._allocator.has_free_slot:
            return None
        waiting = self._table.admissible(self._limits.max_parallel_sentences)
        chosen = choose_admission(in_order(waiting, now), self._allocator)
        if chosen is None:
            return None
        for each in chosen.skipped:
            each.skipped += 1
        self._table.assign(chosen.sequence, chosen.slot)
        return Admitted(chosen.sequence.sequence_id, chosen.slot)

    def _park_and_resume(self, candidates: list[Candidate], now: float) -> None:
        step_seconds = 0.0 if self._scheduled_at is None else now - self._scheduled_at
        self._scheduled_at = now
        for sequence, event in choose_parking(candidates, self._limits, step_seconds):
            sequence.apply(event)
            sequence.served_at = now

    def _next_chunk(self, candidates: list[Candidate], now: float) -> Chunk | None:
        """Read on in the most urgent prompt; after its last chunk, its sequence may take a row of the same step."""
        prompts = (each.sequence for each in candidates if each.sequence.state is State.PREFILLING)
        sequence = next(prompts, None)
        if sequence is None:
            return None
        unread = sequence.cost.prompt_positions - sequence.positions_read
        positions = min(unread, self._limits.max_prefill_tokens)
        sequence.positions_read += positions
        sequence.served_at = now
        if positions == unread:
            sequence.apply(Event.READ)
            if sequence.is_unread:
                sequence.apply(Event.PARK)
        return Chunk(sequence.sequence_id, positions)

    def _next_rows(self, candidates: list[Candidate], now: float) -> tuple[int, ...]:
        running = [each.sequence for each in candidates if each.sequence.state is State.RUNNING]
        rows = running[: self._limits.max_rows]
        for each in rows:
            each.patches_planned += 1
            each.served_at = now
        return tuple(each.sequence_id for each in rows)

    def _take_patch(self, result: RowResult, now: float) -> bool:
        """Count a patch; returns whether it is an underrun."""
        sequence = self._table.by_id[result.sequence_id]
        if result.failure or sequence.state is State.LEAVING:
            return False
        sequence.patches_made += 1
        if result.is_last or result.next_is_last:
            last = sequence.patches_made if result.is_last else sequence.patches_made + 1
            sequence.last_patch = min(last, sequence.last_patch)
        request, rank = sequence.request, sequence.params.rank
        return request.playback.patch_sent(rank, now, is_next_played=rank == request.next_played)

    def _end_after(self, result: RowResult) -> SequenceEnded | None:
        if result.failure:
            return self._table.end(result.sequence_id, Outcome.FAILED, result.failure)
        sequence = self._table.by_id[result.sequence_id]
        if sequence.patches_made < sequence.last_patch:
            return None
        return self._table.end(result.sequence_id, Outcome.FINISHED)
