"""The life of one sequence (one sentence being decoded), as a table.

Knows: the states, the events and which event leads where.
Does not know: batches, models, clocks or who asked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxfleet_inference.engine.model_backend import SequenceCost, Slot


class State(enum.Enum):
    """Where a sequence is."""

    WAITING = "waiting"  # submitted, has no seat
    PREFILLING = "prefilling"  # has a seat, its prompt is being read
    RUNNING = "running"  # takes steps, or waits for a row among those that do
    PARKED = "parked"  # keeps its seat, skips steps
    LEAVING = "leaving"  # has ended, its seat is still named by a step in flight
    GONE = "gone"  # its seat is free


class Event(enum.Enum):
    """What happens to a sequence."""

    ADMIT = "admit"
    READ = "read"  # the last chunk of its prompt was planned
    PARK = "park"
    RESUME = "resume"
    END = "end"  # for whatever reason: see Outcome
    COLLECT = "collect"  # the last step in flight that named it was collected


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.WAITING, Event.ADMIT): State.PREFILLING,
    (State.WAITING, Event.END): State.GONE,
    (State.PREFILLING, Event.READ): State.RUNNING,
    (State.PREFILLING, Event.END): State.LEAVING,
    (State.RUNNING, Event.PARK): State.PARKED,
    (State.RUNNING, Event.END): State.LEAVING,
    (State.PARKED, Event.RESUME): State.RUNNING,
    (State.PARKED, Event.END): State.LEAVING,
    (State.LEAVING, Event.COLLECT): State.GONE,
}
HAS_SLOT = frozenset({State.PREFILLING, State.RUNNING, State.PARKED, State.LEAVING})


class TransitionError(Exception):
    """An event that the sequence's state does not allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """One sentence on its way."""

    sequence_id: int
    request_id: int
    rank: int  # place in the request's text
    priority: int
    arrival: int
    cost: SequenceCost
    served_at: float  # when it was last given work, or came in
    state: State = State.WAITING
    slot: Slot | None = None
    positions_read: int = 0  # of its prompt, by steps planned so far
    patches_planned: int = 0
    patches_made: int = 0
    last_patch: int = 0  # it ends with this one, as far as is known
    skipped: int = 0  # how often a smaller one was seated because this one did not fit
    unread_since: float | None = None  # its reader asked it to stop

    @property
    def patches_in_flight(self) -> int:
        """Planned and not yet collected."""
        return self.patches_planned - self.patches_made

    @property
    def is_unread(self) -> bool:
        """Whether its reader does not read."""
        return self.unread_since is not None

    @property
    def has_work(self) -> bool:
        """Whether a step could do something for it that none in flight does."""
        return self.state is not State.LEAVING and self.patches_planned < self.last_patch

    def after(self, event: Event) -> Sequence:
        """The sequence once `event` has happened.

        Raises:
            TransitionError: the table has no such transition.
        """
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            raise TransitionError(f"sequence {self.sequence_id} is {self.state.value}: {event.value} is not possible")
        return replace(self, state=target)

    def allows(self, event: Event) -> bool:
        """Whether the table has this transition."""
        return (self.state, event) in TRANSITIONS
