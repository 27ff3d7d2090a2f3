"""The states of a sequence, as a transition table.

Knows: the states, the events, and which event leads where.
Does not know: sequences, batches, models or clocks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.Enum):
    """What a sequence waits for or does."""

    WAITING = "waiting"  # submitted, without a slot
    PREFILLING = "prefilling"  # has a slot; its prompt is being read
    RUNNING = "running"  # takes steps, or waits for a row in one
    PARKED = "parked"  # keeps its slot, takes no steps
    LEAVING = "leaving"  # has ended, but a step in flight still uses its slot
    GONE = "gone"  # has ended and has no slot


class Event(enum.Enum):
    """What changes a sequence's state."""

    ADMIT = "admit"
    READ = "read"  # the last chunk of its prompt was scheduled
    PARK = "park"
    RESUME = "resume"
    END = "end"  # for any reason; messages.Outcome lists them
    COLLECT = "collect"  # no step in flight uses its slot any more


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
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
HAS_SLOT: Final = frozenset({State.PREFILLING, State.RUNNING, State.PARKED, State.LEAVING})


class TransitionError(Exception):
    """The table has no such event for the sequence's state."""
