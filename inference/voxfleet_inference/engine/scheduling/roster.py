"""The sequences that are here, with their requests and seats, always in agreement.

Knows: what changes together when a sequence comes, sits down, ends and goes.
Does not know: who is chosen, or when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from voxfleet_inference.engine.scheduling.ordering import Standing, standing
from voxfleet_inference.engine.scheduling.plans import Ended, Room, Standings, Submission
from voxfleet_inference.engine.scheduling.requests import Request, Requests
from voxfleet_inference.engine.scheduling.seating import Seating
from voxfleet_inference.engine.sequences import Event, Outcome, Sequence, State
from voxfleet_inference.engine.speech_model import Seat


class Roster:
    """Every sequence from its submission until its seat is free again."""

    def __init__(self, room: Room, patch_seconds: float) -> None:
        self.seating = Seating(room)
        self._requests = Requests(patch_seconds)
        self._sequences: dict[int, Sequence] = {}
        self._seated: set[int] = set()
        self._tickets: Counter[int] = Counter()  # steps in flight that name a sequence's seat
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
        return len(self._sequences) - len(self._seated)

    def request_of(self, sequence: Sequence) -> Request:
        """The request of a sequence that has not ended."""
        return self._requests[sequence.request_id]

    def take(self, asked: Submission, now: float) -> None:
        """A new one comes in."""
        self._arrivals += 1
        sequence = Sequence(
            sequence_id=asked.sequence_id,
            request_id=asked.request_id or -asked.sequence_id,
            rank=asked.rank,
            priority=asked.priority,
            arrival=self._arrivals,
            measured=asked.measured,
            served_at=now,
            last_patch=asked.measured.max_steps,
        )
        self.put(sequence)
        self._requests.enqueue(sequence, asked.speed, now)

    def put(self, sequence: Sequence) -> None:
        """What has become of a sequence."""
        self._sequences[sequence.sequence_id] = sequence

    def sit(self, sequence_id: int, seat: Seat) -> None:
        """A waiting one gets its seat."""
        sequence = replace(self._sequences[sequence_id].after(Event.ADMIT), seat=seat)
        self.put(sequence)
        self._seated.add(sequence_id)
        self._requests.sit(sequence.request_id, sequence.rank, sequence_id)

    def end(self, sequence_id: int, outcome: Outcome, message: str = "") -> Ended | None:
        """End a sequence in whatever state it is; None when it has ended already."""
        sequence = self._sequences.get(sequence_id)
        if sequence is None or not sequence.allows(Event.END):
            return None
        self._requests.end(sequence.request_id, sequence.rank, sequence_id)
        after = sequence.after(Event.END)
        self.put(after)
        if after.state is State.GONE:
            del self._sequences[sequence_id]
        return Ended(sequence_id, outcome, message, sequence.patches_made, sequence.measured.text_tokens)

    def hold(self, sequence_ids: Iterable[int]) -> None:
        """A step was launched that names the seats of these."""
        self._tickets.update(sequence_ids)

    def let_go(self, sequence_ids: Iterable[int]) -> None:
        """The oldest step that names the seats of these was collected."""
        self._tickets.subtract(sequence_ids)

    def release(self, sequence_id: int) -> bool:
        """Free the seat of one that has ended, unless a step in flight names it."""
        sequence = self._sequences.get(sequence_id)
        if (
            sequence is None
            or sequence.state is not State.LEAVING
            or self._tickets[sequence_id]
            or sequence.seat is None
        ):
            return False
        self.seating.give_back(sequence.seat)
        self._seated.discard(sequence_id)
        del self._sequences[sequence_id], self._tickets[sequence_id]
        return True

    def may_sit(self, max_parallel_sentences: int, now: float) -> Iterator[Standing]:
        """Of each request the sentence that is next to sit down, if it may have one more."""
        for sequence_id in self._requests.first_waiting():
            sequence = self._sequences[sequence_id]
            request = self.request_of(sequence)
            if len(request.seated) < max_parallel_sentences:
                yield standing(sequence, request, now)

    def at_work(self, now: float) -> list[Standing]:
        """Those with a seat for whom a step could do something, most urgent first."""
        seated = (self._sequences[each] for each in self._seated)
        found = [standing(each, self.request_of(each), now) for each in seated if each.has_work]
        return sorted(found, key=lambda each: each.urgency)

    def count(self) -> Standings:
        """How many are where."""
        states = [self._sequences[each].state for each in self._seated]
        return Standings(
            waiting=self.waiting,
            prefilling=states.count(State.PREFILLING),
            running=states.count(State.RUNNING),
            parked=states.count(State.PARKED),
            seats_used=self.seating.seats_used,
            kv_positions_used=self.seating.kv_positions_used,
        )
