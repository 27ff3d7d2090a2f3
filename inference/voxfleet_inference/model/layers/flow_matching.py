"""Conditional flow matching: the local diffusion transformer, and the Euler solver that integrates its velocity.

Sources: Flow Matching for Generative Modeling (arXiv:2210.02747); CFG-Zero*: Improved Classifier-Free Guidance for Flow
Matching Models (arXiv:2503.18886), with its optimized scale and its zero-init; sway sampling of times as in F5-TTS
(arXiv:2410.06885).

Knows: one patch per row, the schedule of `inference_timesteps`, classifier-free guidance. Does not know: where the
conditions come from. Each row has its own guidance strength and its own times, so that rows of different settings share
a batch: a row with fewer evaluations has step size 0 for the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.shapes import TransformerShape


ZERO_INIT_SHARE = 0.04  # of the schedule's points, from the first on: CFG-Zero* takes their velocity to be zero
TIME_SCALE = 1000  # times in [0, 1] are embedded as positions in [0, 1000]
MAX_PERIOD = 10_000  # of the sinusoidal time embedding


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times and step sizes of the Euler solver, without the points whose velocity is zero."""

    times: Tensor  # [evaluations], in the model's dtype
    step_sizes: Tensor  # [evaluations], in the model's dtype

    @classmethod
    def of(cls, timesteps: int, device: torch.device, dtype: torch.dtype) -> Schedule:
        """Return the schedule from time 1 (noise) to 0 (data), with sway sampling of coefficient 1.

        The reference accumulates times step by step in `dtype`. The recurrence is repeated here, because in bfloat16
        its rounding is part of the model's input.
        """
        span = torch.linspace(1, 0, timesteps + 1, device=device, dtype=dtype)  # [timesteps + 1]
        span = span + (torch.cos(torch.pi / 2 * span) - 1 + span)
        time, step_size = span[0], span[0] - span[1]
        times, step_sizes = [], []
        for point in range(1, timesteps + 1):
            times.append(time)
            step_sizes.append(step_size)
            time = time - step_size
            step_size = time - span[min(point + 1, timesteps)]
        zeroed = max(1, int((timesteps + 1) * ZERO_INIT_SHARE))
        return cls(torch.stack(times)[zeroed:], torch.stack(step_sizes)[zeroed:])


def sinusoids(times: Tensor, width: int) -> Tensor:
    """Embed `[n]` times as `[n, width]` sines and cosines, computed in the dtype of `times` as the reference does."""
    half = width // 2
    index = torch.arange(half, device=times.device, dtype=times.dtype)
    frequencies = torch.exp(index * -(math.log(MAX_PERIOD) / (half - 1)))
    angles = TIME_SCALE * times[:, None] * frequencies[None]
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class TimeMlp(nn.Module):
    """Two linear layers over the sinusoids of a time."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear_1 = Linear(hidden, hidden)
        self.linear_2 = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, hidden]` to the same shape."""
        return self.linear_2(functional.silu(self.linear_1(x)))  # type: ignore[no-any-return]


class LocalDit(nn.Module):
    """Predicts the velocity of a noisy patch from a condition token and the previous patch (DiT, arXiv:2212.09748)."""

    def __init__(self, shape: TransformerShape, feat_dim: int, rotary: RotaryTable) -> None:
        super().__init__()
        self.in_proj = Linear(feat_dim, shape.hidden)
        self.cond_proj = Linear(feat_dim, shape.hidden)
        self.out_proj = Linear(shape.hidden, feat_dim)
        self.time_mlp = TimeMlp(shape.hidden)
        self.delta_time_mlp = TimeMlp(shape.hidden)
        self.decoder = Transformer(shape, rotary)
        self.hidden = shape.hidden

    def time_vectors(self, times: Tensor) -> Tensor:
        """Embed `[n]` times as `[n, hidden]`. The model has a second input, a step width, which is always 0."""
        widths = torch.zeros_like(times)
        return self.time_mlp(sinusoids(times, self.hidden)) + self.delta_time_mlp(sinusoids(widths, self.hidden))  # type: ignore[no-any-return]

    def forward(self, noisy: Tensor, condition: Tensor, previous: Tensor) -> Tensor:
        """Return the velocity `[rows, patch, feat_dim]` of `noisy`.

        `condition` is `[rows, hidden]`, with the time vector added; `previous` is `[rows, patch, hidden]`, projected.
        """
        sequence = torch.cat((condition[:, None], previous, self.in_proj(noisy)), dim=1)  # [rows, 1 + 2 patch, hidden]
        return self.out_proj(self.decoder(sequence)[:, -noisy.shape[1] :])  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Guidance:
    """The solver's settings for each row of a batch."""

    time_vectors: Tensor  # [rows, evaluations, dit_hidden]
    step_sizes: Tensor  # [rows, evaluations]
    cfg_values: Tensor  # [rows], float32


class FlowMatching(nn.Module):
    """The Euler solver around the diffusion transformer."""

    def __init__(self, estimator: LocalDit) -> None:
        super().__init__()
        self.estimator = estimator

    def guidance(self, timesteps: int, cfg_value: float) -> Guidance:
        """Return the guidance of one row."""
        weight = self.estimator.decoder.norm.weight  # for its device and dtype: matrices may be packed and freed
        schedule = Schedule.of(timesteps, weight.device, weight.dtype)
        cfg_values = torch.full((1,), cfg_value, device=weight.device, dtype=torch.float32)  # no copy from the host
        return Guidance(self.estimator.time_vectors(schedule.times)[None], schedule.step_sizes[None], cfg_values)

    def forward(self, noise: Tensor, condition: Tensor, previous: Tensor, guidance: Guidance) -> Tensor:
        """Integrate noise `[rows, patch, feat_dim]` to a patch of the same shape.

        The batch is doubled: the first half is conditional, the second unconditional, with a condition of zeros.
        """
        conditions = torch.cat((condition, torch.zeros_like(condition)))  # [2 rows, dit_hidden]
        previous_embedded = self.estimator.cond_proj(previous).repeat(2, 1, 1)  # [2 rows, patch, dit_hidden]
        x = noise
        for index in range(guidance.step_sizes.shape[1]):
            time = guidance.time_vectors[:, index].repeat(2, 1)  # [2 rows, dit_hidden]
            velocities = self.estimator(x.repeat(2, 1, 1), conditions + time, previous_embedded)
            conditional, unconditional = velocities.chunk(2)  # [rows, patch, feat_dim] each
            velocity = cfg_zero_star(conditional, unconditional, guidance.cfg_values)
            x = x - guidance.step_sizes[:, index, None, None] * velocity
        return x


def cfg_zero_star(conditional: Tensor, unconditional: Tensor, cfg_values: Tensor) -> Tensor:
    """Classifier-free guidance with the optimized scale of CFG-Zero*, `[rows, patch, feat_dim]` each.

    The unconditional velocity is scaled to the projection of the conditional one onto it; guidance extrapolates from
    there: `scaled + cfg * (conditional - scaled)`.
    """
    dot = (conditional * unconditional).sum(dim=(1, 2), keepdim=True)  # [rows, 1, 1]
    squared_norm = unconditional.square().sum(dim=(1, 2), keepdim=True) + 1e-8
    scaled = unconditional * (dot / squared_norm)
    # The product is float32, because `cfg_values` are; it is rounded before the sum, as in the reference.
    return scaled + (cfg_values[:, None, None] * (conditional - scaled)).to(conditional.dtype)
