"""The life of one sequence (one sentence being decoded), as a table.

Knows: the states, the events and which event leads where.
Does not know: batches, models, clocks or who asked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace


class State(enum.Enum):
    """Where a sequence is."""

    WAITING = "waiting"  # submitted, holds no row
    RUNNING = "running"  # holds a row and takes steps
    PARKED = "parked"  # holds a row, skips steps: its listener is far behind
    LEAVING = "leaving"  # has ended, its row is still named by a step in flight
    GONE = "gone"  # its row is free


class Event(enum.Enum):
    """What happens to a sequence."""

    ADMIT = "admit"
    PARK = "park"
    RESUME = "resume"
    END = "end"  # finished, cancelled or failed
    COLLECT = "collect"  # the last step in flight that named it was collected


class Outcome(enum.Enum):
    """How a sequence ended."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"  # its deadline passed
    IMPOSSIBLE = "impossible"  # it needs more than the machine has
    REFUSED = "refused"  # the queue was full


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.WAITING, Event.ADMIT): State.RUNNING,
    (State.WAITING, Event.END): State.GONE,
    (State.RUNNING, Event.PARK): State.PARKED,
    (State.RUNNING, Event.END): State.LEAVING,
    (State.PARKED, Event.RESUME): State.RUNNING,
    (State.PARKED, Event.END): State.LEAVING,
    (State.LEAVING, Event.COLLECT): State.GONE,
}
HOLDS_A_ROW = frozenset({State.RUNNING, State.PARKED, State.LEAVING})


class TransitionError(Exception):
    """An event that the sequence's state does not allow."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sentence on its way: its state, and how many steps in flight name it."""

    sequence_id: int
    rank: int  # 0 for the first sentence of a request; later sentences rank below every first one
    arrival: int
    state: State = State.WAITING
    steps_in_flight: int = 0

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
