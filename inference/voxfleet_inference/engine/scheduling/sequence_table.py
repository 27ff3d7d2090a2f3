"""The sequences that are here, with their requests and seats, always in agreement.

Knows: what changes together when a sequence comes, sits down, ends and goes.
Does not know: who is chosen, or when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from voxfleet_inference.engine.messages import Outcome
from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.ordering import Candidate, candidate_of
from voxfleet_inference.engine.scheduling.plans import Ended, EngineCapacity, QueueCounts, Submission
from voxfleet_inference.engine.scheduling.requests import Request, Requests
from voxfleet_inference.engine.scheduling.slot_allocator import SlotAllocator
from voxfleet_inference.engine.sequences import Event, Sequence, State


class SequenceTable:
    """Every sequence from its submission until its seat is free again."""

    def __init__(self, capacity: EngineCapacity, patch_seconds: float) -> None:
        self.allocator = SlotAllocator(capacity)
        self._requests = Requests(patch_seconds)
        self._sequences: dict[int, Sequence] = {}
        self._assigned: set[int] = set()
        self._pins: Counter[int] = Counter()  # steps in flight that name a sequence's seat
        self._arrivals = 0

    def __contains__(self, sequence_id: int) -> bool:
        """Whether it waits or has a seat."""
        return sequence_id in self._sequences

    def __getitem__(self, sequence_id: int) -> Sequence:
        """A sequence that is here."""
        return self._sequences[sequence_id]

    def get(self, sequence_id: int) -> Sequence | None:
        """A sequence, if it is here."""
        return self._sequences.get(sequence_id)

    @property
    def waiting(self) -> int:
        """How many have no seat."""
        return len(self._sequences) - len(self._assigned)

    def request_of(self, sequence: Sequence) -> Request:
        """The request of a sequence that has not ended."""
        return self._requests[sequence.request_id]

    def add(self, submission: Submission, now: float) -> None:
        """A new one comes in."""
        self._arrivals += 1
        sequence = Sequence(
            sequence_id=submission.sequence_id,
            request_id=submission.request_id or -submission.sequence_id,
            rank=submission.rank,
            priority=submission.priority,
            arrival=self._arrivals,
            cost=submission.cost,
            served_at=now,
            last_patch=submission.cost.max_steps,
        )
        self.update(sequence)
        self._requests.enqueue(sequence, submission.speed, now)

    def update(self, sequence: Sequence) -> None:
        """What has become of a sequence."""
        self._sequences[sequence.sequence_id] = sequence

    def assign(self, sequence_id: int, slot: Slot) -> None:
        """A waiting one gets its seat."""
        sequence = replace(self._sequences[sequence_id].after(Event.ADMIT), slot=slot)
        self.update(sequence)
        self._assigned.add(sequence_id)
        self._requests.assign(sequence.request_id, sequence.rank, sequence_id)

    def end(self, sequence_id: int, outcome: Outcome, message: str = "") -> Ended | None:
        """End a sequence in whatever state it is; None when it has ended already."""
        sequence = self._sequences.get(sequence_id)
        if sequence is None or not sequence.allows(Event.END):
            return None
        self._requests.end(sequence.request_id, sequence.rank, sequence_id)
        after = sequence.after(Event.END)
        self.update(after)
        if after.state is State.GONE:
            del self._sequences[sequence_id]
        return Ended(sequence_id, outcome, message, sequence.patches_made, sequence.cost.text_tokens)

    def pin(self, sequence_ids: Iterable[int]) -> None:
        """A step was launched that names the seats of these."""
        self._pins.update(sequence_ids)

    def unpin(self, sequence_ids: Iterable[int]) -> None:
        """The oldest step that names the seats of these was collected."""
        self._pins.subtract(sequence_ids)

    def release(self, sequence_id: int) -> bool:
        """Free the seat of one that has ended, unless a step in flight names it."""
        sequence = self._sequences.get(sequence_id)
        if sequence is None or sequence.state is not State.LEAVING or self._pins[sequence_id] or sequence.slot is None:
            return False
        self.allocator.free(sequence.slot)
        self._assigned.discard(sequence_id)
        del self._sequences[sequence_id], self._pins[sequence_id]
        return True

    def admissible(self, max_parallel_sentences: int, now: float) -> Iterator[Candidate]:
        """Of each request the sentence that is next to sit down, if it may have one more."""
        for sequence_id in self._requests.first_waiting():
            sequence = self._sequences[sequence_id]
            request = self.request_of(sequence)
            if len(request.assigned) < max_parallel_sentences:
                yield candidate_of(sequence, request, now)

    def runnable(self, now: float) -> list[Candidate]:
        """Those with a seat for whom a step could do something, most urgent first."""
        assigned = (self._sequences[each] for each in self._assigned)
        found = [candidate_of(each, self.request_of(each), now) for each in assigned if each.has_work]
        return sorted(found, key=lambda each: each.sort_key)

    def count(self) -> QueueCounts:
        """How many are where."""
        states = [self._sequences[each].state for each in self._assigned]
        return QueueCounts(
            waiting=self.waiting,
            prefilling=states.count(State.PREFILLING),
            running=states.count(State.RUNNING),
            parked=states.count(State.PARKED),
            slots_used=self.allocator.slots_used,
            kv_positions_used=self.allocator.kv_positions_used,
        )
