"""Sequences, the requests they belong to, and the table of both.

A sequence is one sentence being decoded. It holds its request, and the request its sequences in text order, so the
scheduler looks neither of them up by id while it decides.

Knows: what changes together when a sequence is added, gets a slot, ends and is removed.
Does not know: which sequence is chosen, when, or where slots come from.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from voxfleet_inference.engine.messages import Outcome, SequenceEnded, SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost, Slot
from voxfleet_inference.engine.scheduling.playback import Playback
from voxfleet_inference.engine.scheduling.states import TRANSITIONS, Event, State, TransitionError

# Requests without a sequence whose playback is kept. The next sentence of a request may come only after the one before
# has ended: it is typed later, or waits until the first sentence has become its voice.
_MAX_IDLE_REQUESTS: Final = 1024
_TEXT_ORDER: Final = attrgetter("text_order")


@dataclass(slots=True, eq=False, kw_only=True)  # eq=False: two sequences are the same only if they are one object
class Sequence:
    """One sentence being decoded, from its submission until its slot is free."""

    sequence_id: int
    params: SequenceParams
    cost: SequenceCost
    request: Request = field(repr=False)  # which holds this sequence: its repr would not end
    text_order: tuple[int, int]  # (rank, sequence id): its place among the sequences of its request
    arrival: int  # submissions are counted from 1
    served_at: float  # monotonic second of its last work, or of its submission
    last_patch: int  # it ends after this many patches, as far as is known now
    state: State = State.WAITING
    slot: Slot | None = None
    positions_read: int = 0  # of its prompt, by the steps scheduled so far
    patches_planned: int = 0
    patches_made: int = 0
    skipped: int = 0  # times that a smaller sequence got a slot because this one did not fit
    steps_in_flight: int = 0  # that use its slot
    is_unread: bool = False  # the client asked to pause it

    @property
    def has_work(self) -> bool:
        """Whether a further step could advance it."""
        return self.state is not State.LEAVING and self.patches_planned < self.last_patch

    def allows(self, event: Event) -> bool:
        """Whether the transition table has this event for its state."""
        return (self.state, event) in TRANSITIONS

    def apply(self, event: Event) -> None:
        """Change the state by the transition table.

        Raises:
            TransitionError: the table has no such transition.
        """
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            raise TransitionError(f"sequence {self.sequence_id} is {self.state.value}: {event.value} is not possible")
        self.state = target


@dataclass(slots=True, eq=False)
class Request:
    """One request's sequences that have not ended, in text order, and its playback."""

    request_id: int
    playback: Playback
    unended: list[Sequence] = field(default_factory=list)
    waiting: list[Sequence] = field(default_factory=list)  # those of them without a slot
    next_played: int = 0  # rank of the first unended sequence, which the client plays now or next

    def add(self, sequence: Sequence, now: float) -> None:
        """Add a waiting sequence. If it is a retry of a sentence, the patches of the attempt before stop counting."""
        rank = sequence.params.rank
        self.playback.restart_sentence(rank)
        if not self.unended:
            self.playback.text_arrived(rank, now)
        bisect.insort(self.unended, sequence, key=_TEXT_ORDER)
        bisect.insort(self.waiting, sequence, key=_TEXT_ORDER)
        self.next_played = self.unended[0].params.rank

    def remove(self, sequence: Sequence) -> None:
        """Remove a sequence that has ended."""
        self.unended.remove(sequence)
        if sequence.slot is None:
            self.waiting.remove(sequence)
        self.next_played = self.unended[0].params.rank if self.unended else 0


class SequenceTable:
    """All sequences from submission until their slot is free, and their requests."""

    def __init__(self, patch_seconds: float) -> None:
        self.by_id: dict[int, Sequence] = {}
        self.assigned: dict[int, Sequence] = {}  # those with a slot, ended ones included
        self._patch_seconds = patch_seconds
        self._requests: dict[int, Request] = {}  # with unended sequences
        self._idle: OrderedDict[int, Request] = OrderedDict()  # without; least recently used first
        self._arrivals = 0

    @property
    def waiting(self) -> int:
        """Number of sequences without a slot."""
        return len(self.by_id) - len(self.assigned)

    def add(self, sequence_id: int, params: SequenceParams, cost: SequenceCost, now: float) -> None:
        """Add a waiting sequence."""
        self._arrivals += 1
        sequence = Sequence(
            sequence_id=sequence_id,
            params=params,
            cost=cost,
            request=self._open_request(params.request_id or -sequence_id, params.speed),
            text_order=(params.rank, sequence_id),
            arrival=self._arrivals,
            served_at=now,
            last_patch=cost.max_steps,
        )
        self.by_id[sequence_id] = sequence
        sequence.request.add(sequence, now)

    def assign(self, sequence: Sequence, slot: Slot) -> None:
        """Give a waiting sequence its slot."""
        sequence.apply(Event.ADMIT)
        sequence.slot = slot
        sequence.request.waiting.remove(sequence)
        self.assigned[sequence.sequence_id] = sequence

    def end(self, sequence_id: int, outcome: Outcome, message: str = "") -> SequenceEnded | None:
        """End a sequence in any state; None if it has ended already or is unknown."""
        sequence = self.by_id.get(sequence_id)
        if sequence is None or not sequence.allows(Event.END):
            return None
        sequence.apply(Event.END)
        request = sequence.request
        request.remove(sequence)
        if not request.unended:
            self._set_idle(request)
        if sequence.state is State.GONE:
            del self.by_id[sequence_id]
        return SequenceEnded(sequence_id, outcome, message, sequence.patches_made, sequence.cost.text_tokens)

    def collect(self, sequence_id: int) -> Slot | None:
        """Remove an ended sequence and return its slot; None while it runs or a step in flight uses the slot."""
        sequence = self.by_id.get(sequence_id)
        if sequence is None or sequence.state is not State.LEAVING or sequence.steps_in_flight:
            return None
        sequence.apply(Event.COLLECT)
        del self.by_id[sequence_id], self.assigned[sequence_id]
        return sequence.slot

    def admissible(self, max_parallel_sentences: int) -> list[Sequence]:
        """Of each request the first waiting sequence, if the request has fewer slots than it may have.

        A later sentence never gets a slot before an earlier one: it would keep its memory until it is played, which is
        after the earlier one.
        """
        return [
            request.waiting[0]
            for request in self._requests.values()
            if request.waiting and len(request.unended) - len(request.waiting) < max_parallel_sentences
        ]

    def runnable(self) -> list[Sequence]:
        """Sequences with a slot that a further step could advance."""
        return [each for each in self.assigned.values() if each.has_work]

    def _open_request(self, request_id: int, speed: float) -> Request:
        """A request with sequences, an idle one, or a new one."""
        request = self._requests.get(request_id) or self._idle.pop(request_id, None)
        if request is None:
            request = Request(request_id, Playback(self._patch_seconds / speed))
        self._requests[request_id] = request
        return request

    def _set_idle(self, request: Request) -> None:
        self._idle[request.request_id] = self._requests.pop(request.request_id)
        if len(self._idle) > _MAX_IDLE_REQUESTS:
            self._idle.popitem(last=False)
