"""Which sequences take the next step, and how each of them ends.

Knows: everything about the sequences that are here: who waits, who sits, who runs, which steps in flight name whom,
and how far each listener is ahead. The decisions are in `scheduling/`; here they take effect.
Does not know: torch, text, audio, clocks (moments are arguments) or where results go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from voxfleet_inference.engine.messages import Outcome
from voxfleet_inference.engine.scheduling.admission import choose
from voxfleet_inference.engine.scheduling.deadlines import Deadlines
from voxfleet_inference.engine.scheduling.ordering import Candidate
from voxfleet_inference.engine.scheduling.parking import parking
from voxfleet_inference.engine.scheduling.plans import (
    Admitted,
    Chunk,
    CommitResult,
    Ended,
    EngineCapacity,
    Limits,
    QueueCounts,
    Rejection,
    RowResult,
    StepPlan,
    Submission,
)
from voxfleet_inference.engine.scheduling.sequence_table import SequenceTable
from voxfleet_inference.engine.sequences import Event, State


class BatchScheduler:
    """Keeps the sequences; every one that was taken ends exactly once."""

    def __init__(self, limits: Limits, capacity: EngineCapacity, patch_seconds: float) -> None:
        self._limits = limits
        self._table = SequenceTable(capacity, patch_seconds)
        self._deadlines = Deadlines()
        self._step = 0
        self._planned_at: float | None = None

    def submit(self, submission: Submission, now: float) -> Rejection | None:
        """Take a sequence into the queue, or say why not.

        Raises:
            ValueError: the id is already in use.
        """
        if submission.sequence_id in self._table:
            raise ValueError(
                f"sequence {submission.sequence_id} is already {self._table[submission.sequence_id].state.value}"
            )
        never = self._table.allocator.rejection_reason(submission.cost.positions)
        if never:
            return Rejection(Outcome.TOO_LONG, never)
        waiting, max_waiting = self._table.waiting, self._limits.max_waiting
        if waiting >= max_waiting:
            return Rejection(
                Outcome.QUEUE_FULL, f"the engine's queue is full: {waiting} of {max_waiting} sentences wait"
            )
        self._table.add(submission, now)
        if submission.deadline_seconds is not None:
            self._deadlines.add(submission.sequence_id, now, submission.deadline_seconds)
        return None

    def cancel(self, sequence_id: int) -> Ended | None:
        """End a sequence in whatever state it is; None when it has ended already."""
        return self._table.end(sequence_id, Outcome.CANCELLED)

    def park(self, sequence_id: int, now: float) -> None:
        """The reader does not read: make nothing for it until `resume`."""
        sequence = self._table.get(sequence_id)
        if sequence is None or sequence.is_unread:
            return
        sequence = replace(sequence, unread_since=now)
        self._table.update(sequence.after(Event.PARK) if sequence.allows(Event.PARK) else sequence)

    def resume(self, sequence_id: int, now: float, unread_patches: int = 0) -> None:
        """The reader reads again; he may have played all the while, but not what he has yet to read."""
        sequence = self._table.get(sequence_id)
        if sequence is None or sequence.unread_since is None or sequence.state is State.LEAVING:
            return
        request = self._table.request_of(sequence)
        if sequence.rank == request.next_played:
            request.playback.has_at_least(unread_patches, sequence.rank, now)
        sequence = replace(sequence, unread_since=None, served_at=now)
        self._table.update(sequence.after(Event.RESUME) if sequence.allows(Event.RESUME) else sequence)

    def schedule(self, now: float) -> StepPlan:
        """The next step, at monotonic second `now`."""
        expired = self._expire(now)
        admitted = self._admit(now)
        candidates = self._table.runnable(now)
        chunk = self._next_chunk(candidates, now)
        self._park_and_resume(candidates, now)
        rows = self._choose_rows(candidates, now)
        least_slack = min((each.slack_seconds for each in candidates), default=None)
        plan = StepPlan(self._step + 1, admitted, chunk, rows, expired, least_slack)
        self._step += not plan.is_empty
        self._table.pin(plan.names)
        return plan

    def update(self, plan: StepPlan, results: Iterable[RowResult], now: float) -> CommitResult:
        """Take in what the oldest step in flight made."""
        ended: list[Ended] = []
        underruns = 0
        for result in results:
            underruns += self._take_patch(result, now)
            end = self._end_after(result)
            ended += [end] if end is not None else []
        self._table.unpin(plan.names)
        return CommitResult(tuple(ended), self.release_ended(plan.names), underruns)

    def release_ended(self, sequence_ids: Iterable[int]) -> tuple[int, ...]:
        """Free the seats of those among these that have ended and that no step in flight names."""
        return tuple(each for each in sequence_ids if self._table.release(each))

    def count(self) -> QueueCounts:
        """How many are where, and what is in use."""
        return self._table.count()

    def knows(self, sequence_id: int) -> bool:
        """Whether this sequence waits or has a seat."""
        return sequence_id in self._table

    @property
    def next_deadline(self) -> float | None:
        """When a plan is due even if nothing else happens."""
        return self._deadlines.next_moment

    def _expire(self, now: float) -> tuple[Ended, ...]:
        ends = [
            self._table.end(sequence_id, Outcome.EXPIRED, f"the sentence was not spoken within {seconds:g} seconds")
            for sequence_id, seconds in self._deadlines.due(now)
        ]
        return tuple(each for each in ends if each is not None)

    def _admit(self, now: float) -> Admitted | None:
        if not self._table.allocator.has_free_slot:
            return None
        chosen = choose(self._table.admissible(self._limits.max_parallel_sentences, now), self._table.allocator)
        if chosen is None:
            return None
        for passed in chosen.skipped:
            sequence = self._table[passed]
            self._table.update(replace(sequence, skipped=sequence.skipped + 1))
        self._table.assign(chosen.sequence_id, chosen.slot)
        return Admitted(chosen.sequence_id, chosen.slot)

    def _next_chunk(self, candidates: Sequence[Candidate], now: float) -> Chunk | None:
        """The most urgent prompt goes on; with its last positions read, its sequence may take a row at once."""
        prompts = (each.sequence for each in candidates if each.sequence.state is State.PREFILLING)
        sequence = next(prompts, None)
        if sequence is None:
            return None
        unread = sequence.cost.prompt_positions - sequence.positions_read
        positions = min(unread, self._limits.max_prefill_tokens)
        sequence = replace(sequence, positions_read=sequence.positions_read + positions, served_at=now)
        if positions == unread:
            sequence = sequence.after(Event.READ)
            sequence = sequence.after(Event.PARK) if sequence.is_unread else sequence
        self._table.update(sequence)
        return Chunk(sequence.sequence_id, positions)

    def _park_and_resume(self, candidates: Sequence[Candidate], now: float) -> None:
        step_seconds = 0.0 if self._planned_at is None else now - self._planned_at
        self._planned_at = now
        for sequence_id, event in parking(candidates, self._limits, step_seconds):
            self._table.update(replace(self._table[sequence_id].after(event), served_at=now))

    def _choose_rows(self, candidates: Sequence[Candidate], now: float) -> tuple[int, ...]:
        now_here = (self._table[each.sequence.sequence_id] for each in candidates)
        rows = [each for each in now_here if each.state is State.RUNNING][: self._limits.max_rows]
        for each in rows:
            self._table.update(replace(each, patches_planned=each.patches_planned + 1, served_at=now))
        return tuple(each.sequence_id for each in rows)

    def _take_patch(self, result: RowResult, now: float) -> bool:
        """Count a patch; whether its listener had to wait for it."""
        sequence = self._table[result.sequence_id]
        if result.failure or sequence.state is State.LEAVING:
            return False
        made = sequence.patches_made + 1
        last = made if result.is_last else made + 1 if result.next_is_last else sequence.last_patch
        self._table.update(replace(sequence, patches_made=made, last_patch=min(last, sequence.last_patch)))
        request = self._table.request_of(sequence)
        is_next_played = sequence.rank == request.next_played
        return request.playback.patch_sent(sequence.rank, now, is_next_played=is_next_played)

    def _end_after(self, result: RowResult) -> Ended | None:
        if result.failure:
            return self._table.end(result.sequence_id, Outcome.FAILED, result.failure)
        sequence = self._table[result.sequence_id]
        if sequence.patches_made < sequence.last_patch:
            return None
        return self._table.end(result.sequence_id, Outcome.FINISHED)
