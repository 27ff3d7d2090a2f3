"""What the HTTP process and the engine process send each other, as plain values and numpy arrays.

Knows: the commands, the reports and their fields; neither side needs the other's packages to import them.
Does not know: how they are sent, or what either side does with them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


class Outcome(enum.Enum):
    """Why a sequence ended."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"  # its deadline passed
    TOO_LONG = "too_long"  # it needs more than this server has, at any time
    QUEUE_FULL = "queue_full"  # too many sequences wait; a later one may be accepted


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """A voice to continue: its transcript, and its latents [patches, patch_size, feat_dim]."""

    text: str
    latents: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParams:
    """What the scheduler needs to know of a sequence, passed on whole from the request to the scheduler."""

    request_id: int = 0  # the sequences of one request share it; 0: a request of its own
    rank: int = 0  # place of the sentence in the request's text
    priority: int = 0  # a higher one is scheduled first
    speed: float = 1.0  # playback speed: 2.0 plays two seconds of audio in one
    deadline_seconds: float | None = None  # counted from the submission; then the sequence ends as EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sequence: a sentence, everything that decides its audio, and how it is scheduled."""

    sequence_id: int
    text: str
    seed: int
    sentence_index: int = 0
    attempt: int = 0
    cfg_value: float = 2.0
    inference_timesteps: int = 10
    prompt: VoicePrompt | None = None
    max_steps: int | None = None
    noise_tape: Float32Array | None = None  # [steps, patch_size, feat_dim]; replaces the seeded noise
    params: SequenceParams = SequenceParams()


# HTTP process -> engine
@dataclass(frozen=True, slots=True)
class Submit:
    """Decode this sentence."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this sequence; its patches are not needed any more."""

    sequence_id: int


@dataclass(frozen=True, slots=True)
class Park:
    """The client's buffer is full: keep the sequence, but skip its steps."""

    sequence_id: int


@dataclass(frozen=True, slots=True)
class Resume:
    """The client's buffer drained; `unread_patches` are left in it."""

    sequence_id: int
    unread_patches: int = 0


@dataclass(frozen=True, slots=True)
class EncodeVoice:
    """Encode a recording into latents, beside the steps."""

    job_id: int
    samples: Float32Array  # [samples], mono
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the engine's loop."""


Command = Submit | Cancel | Park | Resume | EncodeVoice | Stop


# engine -> HTTP process
@dataclass(frozen=True, slots=True)
class Loaded:
    """The weights are loaded; what the checkpoint is."""

    sample_rate: int
    patch_samples: int
    token_rate: float  # patches per second of audio
    patch_size: int
    feat_dim: int
    loaded_seconds: float
    load_started_at: float = 0.0  # of the monotonic clock, which both processes share
    description: str = ""
    languages: tuple[str, ...] = ()  # that the checkpoint speaks, BCP 47; empty: it does not say
    single_speaker: bool = False  # trained on one speaker: without a prompt, every sentence has the same voice


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The weights cannot be used; the message names file, tensor and shapes."""

    message: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of a sequence, 160 ms of audio."""

    sequence_id: int
    latents: Float32Array  # [patch_size, feat_dim]
    samples: Float32Array  # [patch_samples]
    is_truncated: bool = False  # it reached the sentence's bound on patches, so its speech is cut off here


@dataclass(frozen=True, slots=True)
class SequenceEnded:
    """The end of a sequence: the scheduler returns it, the engine reports it, the client's stream keeps it."""

    sequence_id: int
    outcome: Outcome
    message: str = ""
    patches: int = 0  # that it made
    text_tokens: int = 0  # of its own text, without the voice's transcript


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full the engine is."""

    running: int  # sequences with a slot that have not ended: prefilling, running or parked
    waiting: int  # without a slot
    prefilling: int = 0
    parked: int = 0
    slots_used: int = 0
    slots: int = 0
    kv_positions_used: int = 0  # reserved, whether written or not
    kv_positions: int = 0


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step's audio, and the engine's state after it."""

    step_seconds: float
    patches: tuple[Patch, ...]
    occupancy: Occupancy
    commands: int = 0  # processed so far
    step: int = 0  # counts from 1
    rows: int = 0  # sequences for which this step made a patch
    prefill_positions: int = 0  # prompt positions that this step read
    underruns: int = 0  # patches of this step that left after their client's playback buffer was empty
    least_slack_seconds: float | None = None  # of the sequences that could take a step
    part_seconds: dict[str, float] = field(default_factory=dict)  # host time: prefill, launch, wait


@dataclass(frozen=True, slots=True)
class Idle:
    """The engine has no step to take: it sleeps until a command comes or a deadline passes."""

    occupancy: Occupancy
    commands: int = 0  # processed so far; used to find unanswered ones


@dataclass(frozen=True, slots=True)
class VoiceEncoded:
    """The latents of a recording [patches, patch_size, feat_dim], or why there are none."""

    job_id: int
    latents: Float32Array | None
    message: str = ""
    is_busy: bool = False  # too many recordings were queued; a later attempt may succeed


@dataclass(frozen=True, slots=True)
class EngineGone:
    """The engine process has ended; this is the last report."""

    message: str


Report = Loaded | LoadFailed | StepDone | Idle | SequenceEnded | VoiceEncoded | EngineGone
