"""What goes into the scheduler and what comes out of it, as values.

Knows: the bounds of the machine, a step's plan, what a step made and how sequences end.
Does not know: how any of it is decided or carried out.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxfleet_inference.engine.messages import Outcome
from voxfleet_inference.engine.model_backend import SequenceCost, Slot


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow."""

    max_rows: int  # of one step
    max_waiting: int
    max_prefill_tokens: int = 512  # prompt positions read in one step
    max_parallel_sentences: int = 8  # of one request, with a seat
    park_above_seconds: float = 10.0  # a listener so far ahead makes way for whoever runs short
    resume_below_seconds: float = 2.0  # and comes back before no more than this is left


@dataclass(frozen=True, slots=True)
class EngineCapacity:
    """What the model has."""

    slots: int
    kv_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A sequence as it comes in."""

    sequence_id: int
    cost: SequenceCost
    request_id: int = 0  # 0: a request of its own
    rank: int = 0  # place in the request's text
    priority: int = 0
    speed: float = 1.0
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A submission that was not taken, and why."""

    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A sequence that takes a seat with this step."""

    sequence_id: int
    slot: Slot


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next positions of one sequence's prompt."""

    sequence_id: int
    positions: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A sequence's end, told exactly once."""

    sequence_id: int
    outcome: Outcome
    message: str = ""
    patches: int = 0
    text_tokens: int = 0


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: at most one newcomer, at most one chunk of a prompt, then one patch for every row."""

    step: int
    admitted: Admitted | None
    chunk: Chunk | None
    rows: tuple[int, ...]
    expired: tuple[Ended, ...] = ()
    least_slack_seconds: float | None = None  # of whoever could take a step

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to launch."""
        return not self.rows and self.chunk is None and self.admitted is None

    @property
    def names(self) -> frozenset[int]:
        """Every sequence whose seat this step touches."""
        admitted = () if self.admitted is None else (self.admitted.sequence_id,)
        chunk = () if self.chunk is None else (self.chunk.sequence_id,)
        return frozenset((*self.rows, *admitted, *chunk))


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a step did for one sequence: a patch, or why there is none."""

    sequence_id: int
    is_last: bool = False
    next_is_last: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit changed: who ended, whose seat is free now, and how many players had run dry."""

    ended: tuple[Ended, ...]
    released: tuple[int, ...]
    underruns: int = 0


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many are where, and what is in use."""

    waiting: int
    prefilling: int
    running: int
    parked: int
    slots_used: int
    kv_positions_used: int
