"""The model as the engine uses it: slots, numpy in and out, one launch at a time.

A *slot* holds a sequence's state between steps: its extent of KV positions, its hidden states, the audio decoder's
state. A *row* is a slot's place in one step's batch. There are more slots than rows: a parked sequence keeps its slot
and skips steps.

Knows: what the engine requires of a model.
Does not know: torch, queues, requests or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from voxfleet_inference.engine.messages import Float32Array, Sentence


class SentenceTooLongError(ValueError):
    """A sentence that could never fit; the message says what it needs and what there is."""


@dataclass(frozen=True, slots=True)
class SequenceCost:
    """What a sentence needs, known before it is admitted."""

    prompt_positions: int  # KV positions of its prompt: tokens, the audio start token, the voice's patches
    max_steps: int  # the most patches that it may take
    text_tokens: int = 0  # of its own text, without the voice's transcript

    @property
    def positions(self) -> int:
        """KV positions to reserve, so that an admitted sentence can always finish."""
        return self.prompt_positions + self.max_steps


@dataclass(frozen=True, slots=True)
class Slot:
    """A sequence's slot, and its extent of KV positions."""

    index: int
    first_position: int
    positions: int


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One step's patches, in the order of its rows."""

    latents: Float32Array  # [rows, patch_size, feat_dim]
    samples: Float32Array  # [rows, patch_samples]
    is_last: npt.NDArray[np.bool_]  # [rows]: the sentence ended with this patch
    next_is_last: npt.NDArray[np.bool_]  # [rows]: it will end with the next one


class Pending(Protocol):
    """A step that has been launched."""

    def collect(self) -> StepOutput:
        """Wait for the device and return what the step made."""


class ModelBackend(Protocol):
    """A model with slots. One thread makes all calls but `estimate_cost` and `encode_voice`, in the engine's order.

    A call that ran out of memory may be repeated for the same slots or for fewer: it has not changed their audio.
    """

    patch_size: int  # latent frames per patch
    feat_dim: int  # values per latent frame
    slots: int
    kv_positions: int  # in all, to be divided among the slots

    def estimate_cost(self, sentence: Sentence) -> SequenceCost:
        """Compute what the sentence needs.

        Raises:
            SentenceTooLongError: it could never fit.
        """

    def admit(self, slot: Slot, sentence: Sentence) -> None:
        """Assign a slot to the sentence; nothing is computed yet."""

    def prefill(self, slot: int, positions: int) -> None:
        """Read the next `positions` positions of the slot's prompt; over all calls they sum to `prompt_positions`."""

    def step(self, slots: Sequence[int], noise: Float32Array) -> Pending:
        """Launch the next patch of these slots, whose prompts have been read; noise is [rows, patch_size, feat_dim]."""

    def release(self, slot: int) -> None:
        """Drop the state of a slot that no launched step uses."""

    def free_memory(self) -> None:
        """Drop caches that only save time, because a call ran out of memory."""

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Latents [patches, patch_size, feat_dim] of mono samples [samples]; called beside the steps, on its thread."""
