"""What crosses the pipe between the HTTP process and the engine.

Knows: plain values and numpy arrays, so that either side can be imported without the other's packages.
Does not know: how they travel or who acts on them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


class Outcome(enum.Enum):
    """How a sequence ended."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"  # its deadline passed
    TOO_LONG = "impossible"  # it needs more than the machine has
    QUEUE_FULL = "refused"  # the queue was full


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """A voice to continue: what was said, and its latents [patches, patch_size, feat_dim]."""

    text: str
    latents: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sequence: a sentence and everything that decides its audio."""

    sequence_id: int
    text: str
    seed: int
    sentence_index: int = 0
    attempt: int = 0
    cfg_value: float = 2.0
    inference_timesteps: int = 10
    prompt: VoicePrompt | None = None
    max_steps: int | None = None
    rank: int = 0  # its place in the request's text
    request_id: int = 0  # sentences of one request share it; the client gives it
    priority: int = 0  # a higher one goes first
    speed: float = 1.0  # how many times faster than spoken it is played
    deadline_seconds: float | None = None  # counted from its submission; then it ends as expired
    noise_tape: Float32Array | None = None  # [steps, patch_size, feat_dim]; replaces the seeded noise


# HTTP process -> engine
@dataclass(frozen=True, slots=True)
class Submit:
    """Decode this sentence."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody listens to this sequence any more."""

    sequence_id: int


@dataclass(frozen=True, slots=True)
class Park:
    """The listener is far behind: keep the sequence, skip its steps."""

    sequence_id: int


@dataclass(frozen=True, slots=True)
class Resume:
    """The listener caught up; so many patches he has yet to read."""

    sequence_id: int
    unread_patches: int = 0


@dataclass(frozen=True, slots=True)
class EncodeVoice:
    """Turn a recording (mono float32) into latents, beside the steps."""

    job_id: int
    samples: Float32Array
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the engine's loop."""


Command = Submit | Cancel | Park | Resume | EncodeVoice | Stop


# engine -> HTTP process
@dataclass(frozen=True, slots=True)
class Loaded:
    """The weights are in place; what the checkpoint is."""

    sample_rate: int
    patch_samples: int
    token_rate: float
    patch_size: int
    feat_dim: int
    loaded_seconds: float
    description: str = ""


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The weights are not what they should be; the message names file, tensor and shapes."""

    message: str


@dataclass(frozen=True, slots=True)
class Patch:
    """160 ms of one sequence: latents [patch_size, feat_dim] and samples [patch_samples]."""

    sequence_id: int
    latents: Float32Array
    samples: Float32Array
    is_truncated: bool = (
        False  # the last one, because the sentence had reached its bound: speech goes on and is not heard
    )


@dataclass(frozen=True, slots=True)
class SequenceEnded:
    """A sequence's end, with the number of patches it made and of tokens that its own text has."""

    sequence_id: int
    outcome: Outcome
    message: str = ""
    patches: int = 0
    text_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full the engine is."""

    running: int  # sequences with a seat: being read, running or parked
    waiting: int
    prefilling: int = 0
    parked: int = 0
    slots_used: int = 0
    slots: int = 0
    kv_positions_used: int = 0  # reserved, not only written
    kv_positions: int = 0


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step's audio, and how the engine stands after it."""

    step_seconds: float
    patches: tuple[Patch, ...]
    occupancy: Occupancy
    commands: int = 0  # how many had been obeyed
    step: int = 0  # counts from 1
    rows: int = 0  # sequences that this step gave a patch to
    prefill_positions: int = 0  # prompt positions that this step read
    underruns: int = 0  # players that had run dry when this step's patch left
    least_slack_seconds: float | None = None  # of the listener who is least far ahead
    part_seconds: dict[str, float] = field(default_factory=dict)  # of the host: prefill, launch, wait


@dataclass(frozen=True, slots=True)
class Idle:
    """The engine found no step to take: it sleeps until a command comes, or a deadline."""

    occupancy: Occupancy
    commands: int = 0  # how many had been obeyed: whoever sent one of them waits by its decision


@dataclass(frozen=True, slots=True)
class VoiceEncoded:
    """The latents of a recording [patches, patch_size, feat_dim], or why there are none."""

    job_id: int
    latents: Float32Array | None
    message: str = ""
    is_busy: bool = False  # not now, rather than not at all


@dataclass(frozen=True, slots=True)
class EngineGone:
    """The engine is no more: nothing else will come."""

    message: str


Report = Loaded | LoadFailed | StepDone | Idle | SequenceEnded | VoiceEncoded | EngineGone
