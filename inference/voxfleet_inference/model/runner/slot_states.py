"""What seats keep between steps: one tensor per kind of state, a row of it for each seat.

Knows shapes, and how the rows of any seats are gathered for a step and put back after it. Does not know what a step
computes. Nothing here changes its address, waits for the device or has a shape that depends on data, so that a step
can be recorded once and replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxfleet_inference.model.flow_matching import Guidance
from voxfleet_inference.model.kv_cache import allocate
from voxfleet_inference.model.network import Hidden

if TYPE_CHECKING:
    from voxfleet_inference.model.audio_vae import StreamMemory
    from voxfleet_inference.model.config import ModelConfig


MOST_EVALUATIONS = 47  # of the velocity field in one step: 49 timesteps, of which 2 stand still


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Who takes a step: for the device a tensor of seats, for the host what it knows about them."""

    index: Tensor  # [rows] int64
    slots: tuple[int, ...]
    extents: tuple[tuple[int, int], ...]  # first KV position and filled length of each
    evaluations: int  # of the row that has most


@dataclass(frozen=True, slots=True)
class RowStates:
    """The states of a step's rows."""

    hidden: Hidden
    previous: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    guidance: Guidance
    steps: Tensor  # [rows] int64, taken so far
    next_is_last: Tensor  # [rows] bool
    first: Tensor  # [rows] int64, KV position
    lengths: Tensor  # [rows] int64, KV positions filled


class SlotStates:
    """The states of all seats."""

    def __init__(self, config: ModelConfig, slots: int, device: torch.device, dtype: torch.dtype) -> None:
        def kept(*size: int, dtype: torch.dtype = dtype) -> Tensor:
            return allocate((slots, *size), device, dtype)

        self.hidden_base, self.hidden_residual = kept(config.base_lm.hidden), kept(config.base_lm.hidden)
        self.previous = kept(config.patch_size, config.feat_dim)
        self.time_vectors = kept(MOST_EVALUATIONS, config.local_dit.hidden)
        self.step_sizes = kept(MOST_EVALUATIONS)
        self.cfg_values = kept(dtype=torch.float32)
        self.steps, self.first, self.lengths = (kept(dtype=torch.int64) for _ in range(3))
        self.next_is_last = kept(dtype=torch.bool)
        self.growth = torch.ones_like(self.lengths)  # positions that a step fills: none in an empty seat

    def begin(self, slot: int, first: int, previous: Tensor, guidance: Guidance) -> None:
        """Let a new sentence sit down; a schedule that is shorter than the longest stands still at its end."""
        evaluations = guidance.step_sizes.shape[1]
        self.hidden_base[slot], self.hidden_residual[slot], self.previous[slot] = 0, 0, previous
        self.time_vectors[slot, :evaluations], self.time_vectors[slot, evaluations:] = guidance.time_vectors[0], 0
        self.step_sizes[slot, :evaluations], self.step_sizes[slot, evaluations:] = guidance.step_sizes[0], 0
        self.cfg_values[slot] = guidance.cfg_values[0]
        self.steps[slot], self.lengths[slot], self.first[slot], self.next_is_last[slot] = 0, 0, first, False

    def gather(self, rows: StepBatch) -> RowStates:
        """A copy of these seats' states."""
        at = rows.index
        return RowStates(
            hidden=Hidden(self.hidden_base[at], self.hidden_residual[at]),
            previous=self.previous[at],
            guidance=Guidance(
                self.time_vectors[:, : rows.evaluations][at],
                self.step_sizes[:, : rows.evaluations][at],
                self.cfg_values[at],
            ),
            steps=self.steps[at],
            next_is_last=self.next_is_last[at],
            first=self.first[at],
            lengths=self.lengths[at],
        )

    def scatter(
        self, rows: StepBatch, before: RowStates, hidden: Hidden, previous: Tensor, next_is_last: Tensor
    ) -> None:
        """Put back what a step has changed; what that needs is computed before the first of it is put back."""
        at = rows.index
        steps, lengths = before.steps + 1, before.lengths + self.growth[at]
        self.hidden_base.index_copy_(0, at, hidden.base)
        self.hidden_residual.index_copy_(0, at, hidden.residual)
        self.previous.index_copy_(0, at, previous)
        self.steps.index_copy_(0, at, steps)
        self.lengths.index_copy_(0, at, lengths)
        self.next_is_last.index_copy_(0, at, next_is_last)


class CodecStates:
    """The audio decoder's memories of all seats, side by side in one tensor so that gathering is one operation."""

    def __init__(self, likeness: StreamMemory, slots: int) -> None:
        """`likeness` is the memory of one row."""
        self._sizes = [tuple(part.shape[1:]) for part in likeness]
        self._widths = [part[0].numel() for part in likeness]
        first = likeness[0]
        self.flat = allocate((slots, sum(self._widths)), first.device, first.dtype)  # [seats, values]

    def reset(self, slot: int) -> None:
        """A stream begins anew."""
        self.flat[slot].zero_()

    def of(self, slot: int) -> StreamMemory:
        """The memory of one seat, itself and no copy."""
        return self._parts(self.flat[slot : slot + 1])

    def gather(self, rows: StepBatch) -> tuple[Tensor, StreamMemory]:
        """A copy of these seats' memories, whole and in parts."""
        whole = self.flat.index_select(0, rows.index)
        return whole, self._parts(whole)

    def scatter(self, rows: StepBatch, whole: Tensor) -> None:
        """Put back what a step has changed."""
        self.flat.index_copy_(0, rows.index, whole)

    def _parts(self, whole: Tensor) -> StreamMemory:
        pieces = torch.split(whole, self._widths, dim=1)
        return [piece.view(len(whole), *size) for piece, size in zip(pieces, self._sizes, strict=True)]
