"""The model as the engine sees it: seats, numpy in and out, one launch at a time.

Knows: what the engine asks of a model. A *seat* is the place where a sequence keeps its state between steps (its
extent of KV positions, its hidden states, the audio decoder's memory); a *row* is a seat's place in one step's batch.
More sequences can sit than a step has rows: whoever is parked keeps its seat and skips steps.
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
    """A sentence that could never fit; says what it needs and what there is."""


@dataclass(frozen=True, slots=True)
class SequenceCost:
    """What a sentence needs, known before it is admitted."""

    prompt_positions: int  # KV positions of its prompt: tokens, the audio start token, the voice's patches
    max_steps: int  # the most patches that it may take
    text_tokens: int = 0  # of its own text, without the prompt's

    @property
    def positions(self) -> int:
        """KV positions to reserve, so that an admitted sentence can always finish."""
        return self.prompt_positions + self.max_steps


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a sequence sits, and the extent of KV positions that is its own."""

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
        """Wait for the device and fetch what the step made."""


class ModelBackend(Protocol):
    """A model with seats. All calls but `measure` and `encode_voice` come from one thread, in the engine's order.

    One that ran out of memory may be made again, for the same seats or for fewer: it has changed nothing that is heard.
    """

    patch_size: int  # latent frames per patch
    feat_dim: int  # values per latent frame
    slots: int
    kv_positions: int  # in all, to be divided among the seats

    def estimate_cost(self, sentence: Sentence) -> SequenceCost:
        """What the sentence needs.

        Raises:
            SentenceTooLongError: it could never fit.
        """

    def admit(self, slot: Slot, sentence: Sentence) -> None:
        """Give the sentence a seat; nothing is read yet."""

    def prefill(self, slot: int, positions: int) -> None:
        """Read the next `positions` positions of the seat's prompt; the sum over calls is `prompt_positions`."""

    def step(self, slots: Sequence[int], noise: Float32Array) -> Pending:
        """Launch the next patch of these seats, whose prompts have been read; noise is [rows, patch_size, feat_dim]."""

    def release(self, slot: int) -> None:
        """Forget a seat that no launched step names."""

    def free_memory(self) -> None:
        """Give up what is kept for speed alone, because a call ran out of memory."""

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Latents [patches, patch_size, feat_dim] of a mono recording; beside the steps, on another thread."""
