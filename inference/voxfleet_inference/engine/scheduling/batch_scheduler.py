"""Which sequences take the next step, and how each of them ends.

Knows: everything about the sequences that are here: who waits, who sits, who runs, which steps in flight name whom,
and how far each listener is ahead. The decisions are in `scheduling/`; here they take effect.
Does not know: torch, text, audio, clocks (moments are arguments) or where results go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from voxfleet_inference.engine.scheduling.admission import choose
from voxfleet_inference.engine.scheduling.deadlines import Deadlines
from voxfleet_inference.engine.scheduling.ordering import Standing
from voxfleet_inference.engine.scheduling.parking import parking
from voxfleet_inference.engine.scheduling.plans import (
    Admitted,
    Chunk,
    Committed,
    Ended,
    Limits,
    Plan,
    Refusal,
    Room,
    RowResult,
    Standings,
    Submission,
)
from voxfleet_inference.engine.scheduling.roster import Roster
from voxfleet_inference.engine.sequences import Event, Outcome, State


class BatchScheduler:
    """Keeps the sequences; every one that was taken ends exactly once."""

    def __init__(self, limits: Limits, room: Room, patch_seconds: float) -> None:
        self._limits = limits
        self._roster = Roster(room, patch_seconds)
        self._deadlines = Deadlines()
        self._step = 0
        self._planned_at: float | None = None

    def submit(self, asked: Submission, now: float) -> Refusal | None:
        """Take a sequence into the queue, or say why not.

        Raises:
            ValueError: the id is already in use.
        """
        if asked.sequence_id in self._roster:
            raise ValueError(f"sequence {asked.sequence_id} is already {self._roster[asked.sequence_id].state.value}")
        never = self._roster.seating.why_never(asked.measured.positions)
        if never:
            return Refusal(Outcome.IMPOSSIBLE, never)
        waiting, max_waiting = self._roster.waiting, self._limits.max_waiting
        if waiting >= max_waiting:
            return Refusal(Outcome.REFUSED, f"the engine's queue is full: {waiting} of {max_waiting} sentences wait")
        self._roster.take(asked, now)
        if asked.deadline_seconds is not None:
            self._deadlines.add(asked.sequence_id, now, asked.deadline_seconds)
        return None

    def cancel(self, sequence_id: int) -> Ended | None:
        """End a sequence in whatever state it is; None when it has ended already."""
        return self._roster.end(sequence_id, Outcome.CANCELLED)

    def park(self, sequence_id: int, now: float) -> None:
        """The reader does not read: make nothing for it until `resume`."""
        sequence = self._roster.get(sequence_id)
        if sequence is None or sequence.is_unread:
            return
        sequence = replace(sequence, unread_since=now)
        self._roster.put(sequence.after(Event.PARK) if sequence.allows(Event.PARK) else sequence)

    def resume(self, sequence_id: int, now: float, unread_patches: int = 0) -> None:
        """The reader reads again; he may have played all the while, but not what he has yet to read."""
        sequence = self._roster.get(sequence_id)
        if sequence is None or sequence.unread_since is None or sequence.state is State.LEAVING:
            return
        request = self._roster.request_of(sequence)
        if sequence.rank == request.next_heard:
            request.playback.has_at_least(unread_patches, sequence.rank, now)
        sequence = replace(sequence, unread_since=None, served_at=now)
        self._roster.put(sequence.after(Event.RESUME) if sequence.allows(Event.RESUME) else sequence)

    def plan(self, now: float) -> Plan:
        """The next step, at monotonic second `now`."""
        expired = self._expire(now)
        admitted = self._admit(now)
        standings = self._roster.at_work(now)
        chunk = self._next_chunk(standings, now)
        self._park_and_resume(standings, now)
        rows = self._choose_rows(standings, now)
        least_slack = min((each.slack_seconds for each in standings), default=None)
        plan = Plan(self._step + 1, admitted, chunk, rows, expired, least_slack)
        self._step += not plan.is_empty
        self._roster.hold(plan.names)
        return plan

    def commit(self, plan: Plan, results: Iterable[RowResult], now: float) -> Committed:
        """Take in what the oldest step in flight made."""
        ended: list[Ended] = []
        underruns = 0
        for result in results:
            underruns += self._take_patch(result, now)
            end = self._end_after(result)
            ended += [end] if end is not None else []
        self._roster.let_go(plan.names)
        return Committed(tuple(ended), self.release_ended(plan.names), underruns)

    def release_ended(self, sequence_ids: Iterable[int]) -> tuple[int, ...]:
        """Free the seats of those among these that have ended and that no step in flight names."""
        return tuple(each for each in sequence_ids if self._roster.release(each))

    def count(self) -> Standings:
        """How many are where, and what is in use."""
        return self._roster.count()

    def knows(self, sequence_id: int) -> bool:
        """Whether this sequence waits or has a seat."""
        return sequence_id in self._roster

    @property
    def next_deadline(self) -> float | None:
        """When a plan is due even if nothing else happens."""
        return self._deadlines.next_moment

    def _expire(self, now: float) -> tuple[Ended, ...]:
        ends = [
            self._roster.end(sequence_id, Outcome.EXPIRED, f"the sentence was not spoken within {seconds:g} seconds")
            for sequence_id, seconds in self._deadlines.due(now)
        ]
        return tuple(each for each in ends if each is not None)

    def _admit(self, now: float) -> Admitted | None:
        if not self._roster.seating.has_free_seat:
            return None
        chosen = choose(self._roster.may_sit(self._limits.max_parallel_sentences, now), self._roster.seating)
        if chosen is None:
            return None
        for passed in chosen.overtaken:
            sequence = self._roster[passed]
            self._roster.put(replace(sequence, overtaken=sequence.overtaken + 1))
        self._roster.sit(chosen.sequence_id, chosen.seat)
        return Admitted(chosen.sequence_id, chosen.seat)

    def _next_chunk(self, standings: Sequence[Standing], now: float) -> Chunk | None:
        """The most urgent prompt goes on; with its last positions read, its sequence may take a row at once."""
        prompts = (each.sequence for each in standings if each.sequence.state is State.PREFILLING)
        sequence = next(prompts, None)
        if sequence is None:
            return None
        unread = sequence.measured.prompt_positions - sequence.positions_read
        positions = min(unread, self._limits.max_prefill_tokens)
        sequence = replace(sequence, positions_read=sequence.positions_read + positions, served_at=now)
        if positions == unread:
            sequence = sequence.after(Event.READ)
            sequence = sequence.after(Event.PARK) if sequence.is_unread else sequence
        self._roster.put(sequence)
        return Chunk(sequence.sequence_id, positions)

    def _park_and_resume(self, standings: Sequence[Standing], now: float) -> None:
        step_seconds = 0.0 if self._planned_at is None else now - self._planned_at
        self._planned_at = now
        for sequence_id, event in parking(standings, self._limits, step_seconds):
            self._roster.put(replace(self._roster[sequence_id].after(event), served_at=now))

    def _choose_rows(self, standings: Sequence[Standing], now: float) -> tuple[int, ...]:
        now_here = (self._roster[each.sequence.sequence_id] for each in standings)
        rows = [each for each in now_here if each.state is State.RUNNING][: self._limits.max_rows]
        for each in rows:
            self._roster.put(replace(each, patches_planned=each.patches_planned + 1, served_at=now))
        return tuple(each.sequence_id for each in rows)

    def _take_patch(self, result: RowResult, now: float) -> bool:
        """Count a patch; whether its listener had to wait for it."""
        sequence = self._roster[result.sequence_id]
        if result.failure or sequence.state is State.LEAVING:
            return False
        made = sequence.patches_made + 1
        last = made if result.is_last else made + 1 if result.next_is_last else sequence.last_patch
        self._roster.put(replace(sequence, patches_made=made, last_patch=min(last, sequence.last_patch)))
        request = self._roster.request_of(sequence)
        is_next_heard = sequence.rank == request.next_heard
        return request.playback.patch_left(sequence.rank, now, is_next_heard=is_next_heard)

    def _end_after(self, result: RowResult) -> Ended | None:
        if result.failure:
            return self._roster.end(result.sequence_id, Outcome.FAILED, result.failure)
        sequence = self._roster[result.sequence_id]
        if sequence.patches_made < sequence.last_patch:
            return None
        return self._roster.end(result.sequence_id, Outcome.FINISHED)
