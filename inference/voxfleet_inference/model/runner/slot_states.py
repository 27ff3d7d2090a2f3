"""The state that slots keep between steps: one tensor per kind of state, with a row for each slot.

Knows: shapes, and how the rows of any slots are gathered before a step and scattered after it. Does not know: what a
step computes. No tensor changes its address, no method waits for the device or has a shape that depends on data, so
that a step can be captured as a CUDA graph and replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxfleet_inference.model.layers.flow_matching import Guidance
from voxfleet_inference.model.layers.kv_cache import allocate
from voxfleet_inference.model.network import Hidden

if TYPE_CHECKING:
    from voxfleet_inference.model.audio_vae import CodecState
    from voxfleet_inference.model.config import ModelConfig


MAX_EVALUATIONS = 47  # of the velocity field in one step: 49 timesteps, of which CFG-Zero* zeroes the first 2


@dataclass(frozen=True, slots=True)
class StepBatch:
    """The rows of a step: a tensor of slots for the device, and the host's copy of their metadata."""

    slot_indices: Tensor  # [rows] int64
    slots: tuple[int, ...]
    extents: tuple[tuple[int, int], ...]  # first KV position and filled length of each row
    evaluations: int  # of the row with the longest schedule


@dataclass(frozen=True, slots=True)
class RowStates:
    """The gathered states of a step's rows."""

    hidden: Hidden
    previous: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    guidance: Guidance
    steps: Tensor  # [rows] int64, taken so far
    next_is_last: Tensor  # [rows] bool
    first: Tensor  # [rows] int64, first KV position of the extent
    lengths: Tensor  # [rows] int64, KV positions filled


@dataclass(frozen=True, slots=True)
class PendingStep:
    """A computed step whose results have not been written back to the slots."""

    batch: StepBatch
    before: RowStates
    hidden: Hidden
    codec_state: Tensor  # [rows, values], after the patch
    latents: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    samples: Tensor  # [rows, patch_samples]
    next_is_last: Tensor  # [rows] bool


class SlotStates:
    """The states of all slots, on the device."""

    def __init__(self, config: ModelConfig, slots: int, device: torch.device, dtype: torch.dtype) -> None:
        def per_slot(*size: int, dtype: torch.dtype = dtype) -> Tensor:
            return allocate((slots, *size), device, dtype)

        self.hidden_base, self.hidden_residual = per_slot(config.base_lm.hidden), per_slot(config.base_lm.hidden)
        self.previous = per_slot(config.patch_size, config.feat_dim)
        self.time_vectors = per_slot(MAX_EVALUATIONS, config.local_dit.hidden)
        self.step_sizes = per_slot(MAX_EVALUATIONS)
        self.cfg_values = per_slot(dtype=torch.float32)
        self.steps, self.first, self.lengths = (per_slot(dtype=torch.int64) for _ in range(3))
        self.next_is_last = per_slot(dtype=torch.bool)
        self.position_increment = torch.ones_like(self.lengths)  # KV positions per step: 1, or 0 in a padding slot

    def assign(self, slot: int, first: int, previous: Tensor, guidance: Guidance) -> None:
        """Reset a slot for a new sequence. A schedule shorter than the longest is padded with step size 0."""
        evaluations = guidance.step_sizes.shape[1]
        self.hidden_base[slot], self.hidden_residual[slot], self.previous[slot] = 0, 0, previous
        self.time_vectors[slot, :evaluations], self.time_vectors[slot, evaluations:] = guidance.time_vectors[0], 0
        self.step_sizes[slot, :evaluations], self.step_sizes[slot, evaluations:] = guidance.step_sizes[0], 0
        self.cfg_values[slot] = guidance.cfg_values[0]
        self.steps[slot], self.lengths[slot], self.first[slot], self.next_is_last[slot] = 0, 0, first, False

    def gather(self, batch: StepBatch) -> RowStates:
        """Return a copy of the states of these rows."""
        at = batch.slot_indices
        return RowStates(
            hidden=Hidden(self.hidden_base[at], self.hidden_residual[at]),
            previous=self.previous[at],
            guidance=Guidance(
                self.time_vectors[:, : batch.evaluations][at],
                self.step_sizes[:, : batch.evaluations][at],
                self.cfg_values[at],
            ),
            steps=self.steps[at],
            next_is_last=self.next_is_last[at],
            first=self.first[at],
            lengths=self.lengths[at],
        )

    def scatter(
        self, batch: StepBatch, before: RowStates, hidden: Hidden, previous: Tensor, next_is_last: Tensor
    ) -> None:
        """Write back the states that a step has changed.

        Everything is computed before the first write, so that running out of memory leaves no slot half updated.
        """
        at = batch.slot_indices
        steps, lengths = before.steps + 1, before.lengths + self.position_increment[at]
        self.hidden_base.index_copy_(0, at, hidden.base)
        self.hidden_residual.index_copy_(0, at, hidden.residual)
        self.previous.index_copy_(0, at, previous)
        self.steps.index_copy_(0, at, steps)
        self.lengths.index_copy_(0, at, lengths)
        self.next_is_last.index_copy_(0, at, next_is_last)


class CodecStates:
    """The audio decoder's states of all slots, concatenated into one tensor so that gathering is one operation."""

    def __init__(self, template: CodecState, slots: int) -> None:
        """Allocate `slots` states of the same shapes as `template`, the state of one row."""
        self._sizes = [tuple(part.shape[1:]) for part in template]
        self._widths = [part[0].numel() for part in template]
        first = template[0]
        self.flat = allocate((slots, sum(self._widths)), first.device, first.dtype)  # [slots, values]

    def reset(self, slot: int) -> None:
        """Set a slot to the state of a stream that has not begun."""
        self.flat[slot].zero_()

    def view(self, slot: int) -> CodecState:
        """Return the state of one slot as views, not copies."""
        return self._split(self.flat[slot : slot + 1])

    def gather(self, batch: StepBatch) -> tuple[Tensor, CodecState]:
        """Return a copy of the states of these rows, as one tensor `[rows, values]` and as views per convolution."""
        whole = self.flat.index_select(0, batch.slot_indices)
        return whole, self._split(whole)

    def scatter(self, batch: StepBatch, whole: Tensor) -> None:
        """Write back what a step has changed, `[rows, values]`."""
        self.flat.index_copy_(0, batch.slot_indices, whole)

    def _split(self, whole: Tensor) -> CodecState:
        pieces = torch.split(whole, self._widths, dim=1)
        return [piece.view(len(whole), *size) for piece, size in zip(pieces, self._sizes, strict=True)]
