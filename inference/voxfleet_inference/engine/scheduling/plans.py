"""What the scheduler is given and what it returns, as values.

Knows: the limits, the capacity, a step's plan, and what a step made.
Does not know: how a plan is decided or carried out.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxfleet_inference.engine.messages import SequenceEnded
from voxfleet_inference.engine.model_backend import Slot


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow."""

    max_rows: int  # of one step
    max_waiting: int  # sequences without a slot
    max_prefill_tokens: int = 512  # prompt positions read in one step
    max_parallel_sentences: int = 8  # slots of one request
    park_above_seconds: float = 10.0  # with more slack than this a sequence is parked while another is short
    resume_below_seconds: float = 2.0  # with less slack than this a sequence is short of audio


@dataclass(frozen=True, slots=True)
class EngineCapacity:
    """What the model has."""

    slots: int
    kv_positions: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A sequence that gets a slot with this step."""

    sequence_id: int
    slot: Slot


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next positions of one sequence's prompt."""

    sequence_id: int
    positions: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: at most one admission, at most one chunk of a prompt, then one patch for every row."""

    step: int
    admitted: Admitted | None
    chunk: Chunk | None
    rows: tuple[int, ...]  # sequence ids, the most urgent first
    expired: tuple[SequenceEnded, ...] = ()
    least_slack_seconds: float | None = None  # of the sequences that could take a step

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to launch."""
        return not self.rows and self.chunk is None and self.admitted is None

    @property
    def names(self) -> frozenset[int]:
        """Ids of all sequences whose slot this step uses."""
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
    """What an update changed."""

    ended: tuple[SequenceEnded, ...]
    released: tuple[int, ...]  # ids of sequences whose slot is free now
    underruns: int = 0  # patches that left after their client's buffer was empty
