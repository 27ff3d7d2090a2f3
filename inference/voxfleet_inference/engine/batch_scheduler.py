"""Which sequences take the next step: rows, queue and endings.

Knows: how many rows there are, who waits, who runs, and which steps in flight name whom.
Does not know: torch, text, audio, time (it is an argument) or where results go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from voxfleet_inference.engine.sequences import HOLDS_A_ROW, Event, Outcome, Sequence, State


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine can carry."""

    max_rows: int
    max_waiting: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: at most one prefill, then one patch for every row."""

    step: int
    prefill: int | None
    rows: tuple[int, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to launch."""
        return not self.rows


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a step did for one row; `outcome` is None while the sequence goes on."""

    sequence_id: int
    outcome: Outcome | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A sequence's end, told exactly once."""

    sequence_id: int
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit changed: who ended, and whose row is free now."""

    ended: tuple[Ended, ...]
    released: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueFull:
    """A submission that was not taken."""

    waiting: int
    max_waiting: int


class BatchScheduler:
    """Keeps the sequences; every one that was taken ends exactly once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sequences: dict[int, Sequence] = {}
        self._arrivals = 0
        self._step = 0

    def submit(self, sequence_id: int, rank: int = 0) -> QueueFull | None:
        """Take a sequence into the queue, or say that the queue is full.

        Raises:
            ValueError: the id is already in use.
        """
        if sequence_id in self._sequences:
            raise ValueError(f"sequence {sequence_id} is already {self._sequences[sequence_id].state.value}")
        waiting = self.count(State.WAITING)
        if waiting >= self._limits.max_waiting:
            return QueueFull(waiting, self._limits.max_waiting)
        self._arrivals += 1
        self._sequences[sequence_id] = Sequence(sequence_id, rank, self._arrivals)
        return None

    def cancel(self, sequence_id: int) -> Ended | None:
        """End a sequence in whatever state it is; None when it has ended already."""
        return self._end(sequence_id, Outcome.CANCELLED)

    def park(self, sequence_id: int) -> None:
        """Let a running sequence skip steps."""
        self._apply_if_allowed(sequence_id, Event.PARK)

    def resume(self, sequence_id: int) -> None:
        """Let a parked sequence take steps again."""
        self._apply_if_allowed(sequence_id, Event.RESUME)

    def plan(self, now: float) -> Plan:
        """The next step, at monotonic second `now`: the running rows and at most one new one."""
        del now  # the order of work by playback slack needs it; first come, first served does not
        newcomer = self._next_admitted()
        if newcomer is not None:
            self._put(newcomer.after(Event.ADMIT))
        running = sorted(self._in_state(State.RUNNING), key=_order)
        for sequence in running:
            self._put(replace(sequence, steps_in_flight=sequence.steps_in_flight + 1))
        self._step += 1
        prefill = newcomer.sequence_id if newcomer is not None else None
        return Plan(self._step, prefill, tuple(sequence.sequence_id for sequence in running))

    def commit(self, results: tuple[RowResult, ...]) -> Committed:
        """Take in the results of the oldest step in flight."""
        ended: list[Ended] = []
        released: list[int] = []
        for result in results:
            sequence = self._sequences[result.sequence_id]
            self._put(replace(sequence, steps_in_flight=sequence.steps_in_flight - 1))
            if result.outcome is not None:
                end = self._end(result.sequence_id, result.outcome, result.message)
                ended += [end] if end is not None else []
            released += self._released(result.sequence_id)
        return Committed(tuple(ended), tuple(released))

    def count(self, *states: State) -> int:
        """How many sequences are in any of these states."""
        return sum(sequence.state in states for sequence in self._sequences.values())

    def knows(self, sequence_id: int) -> bool:
        """Whether this sequence is in the queue or holds a row."""
        return sequence_id in self._sequences

    def forget_ended(self) -> tuple[int, ...]:
        """Free the rows of ended sequences that no step in flight names."""
        return tuple(gone for sequence_id in tuple(self._sequences) for gone in self._released(sequence_id))

    def _next_admitted(self) -> Sequence | None:
        if self.count(*HOLDS_A_ROW) >= self._limits.max_rows:
            return None
        return min(self._in_state(State.WAITING), key=_order, default=None)

    def _end(self, sequence_id: int, outcome: Outcome, message: str = "") -> Ended | None:
        sequence = self._sequences.get(sequence_id)
        if sequence is None or not sequence.allows(Event.END):
            return None
        self._put(sequence.after(Event.END))
        return Ended(sequence_id, outcome, message)

    def _released(self, sequence_id: int) -> list[int]:
        sequence = self._sequences[sequence_id]
        if sequence.state is not State.LEAVING or sequence.steps_in_flight:
            return []
        self._put(sequence.after(Event.COLLECT))
        return [sequence_id]

    def _apply_if_allowed(self, sequence_id: int, event: Event) -> None:
        sequence = self._sequences.get(sequence_id)
        if sequence is not None and sequence.allows(event):
            self._put(sequence.after(event))

    def _put(self, sequence: Sequence) -> None:
        if sequence.state is State.GONE:
            del self._sequences[sequence.sequence_id]
        else:
            self._sequences[sequence.sequence_id] = sequence

    def _in_state(self, state: State) -> list[Sequence]:
        return [sequence for sequence in self._sequences.values() if sequence.state is state]


def _order(sequence: Sequence) -> tuple[bool, int]:
    return (sequence.rank > 0, sequence.arrival)
