"""From noise to a patch: the local diffusion transformer and the Euler solver that follows its velocity field.

Knows one patch per row, the schedule of an `inference_timesteps`, and classifier-free guidance (CFG-zero*). Does not
know where conditions come from. Each row brings its own guidance strength and its own column of times, so rows of
different settings can share a batch: a row with fewer evaluations has step size 0 for the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.transformer import RotaryTable, Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.shapes import TransformerShape


ZERO_VELOCITY_SHARE = 0.04  # of the schedule's points: there the solver stands still
TIME_SCALE = 1000
LONGEST_WAVELENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the solver does with one number of timesteps; points of zero velocity are already left out."""

    times: Tensor  # [evaluations], in the model's dtype
    step_sizes: Tensor  # [evaluations], in the model's dtype

    @classmethod
    def of(cls, timesteps: int, device: torch.device, dtype: torch.dtype) -> Schedule:
        """Times from 1 to 0 with cosine sway. They follow the recurrence the model was trained to see, rounding too."""
        span = torch.linspace(1, 0, timesteps + 1, device=device, dtype=dtype)
        span = span + (torch.cos(torch.pi / 2 * span) - 1 + span)
        time, step_size = span[0], span[0] - span[1]
        times, step_sizes = [], []
        for point in range(1, timesteps + 1):
            times.append(time)
            step_sizes.append(step_size)
            time = time - step_size
            step_size = time - span[min(point + 1, timesteps)]
        still = max(1, int((timesteps + 1) * ZERO_VELOCITY_SHARE))
        return cls(torch.stack(times)[still:], torch.stack(step_sizes)[still:])


def sinusoids(times: Tensor, width: int) -> Tensor:
    """`[n]` times to `[n, width]` sines and cosines, wholly in the dtype of `times`."""
    half = width // 2
    index = torch.arange(half, device=times.device, dtype=times.dtype)
    frequencies = torch.exp(index * -(math.log(LONGEST_WAVELENGTH) / (half - 1)))
    angles = TIME_SCALE * times[:, None] * frequencies[None]
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class TimeMlp(nn.Module):
    """Two linear layers over a time's sinusoids."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear_1 = Linear(hidden, hidden)
        self.linear_2 = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, hidden]` to the same shape."""
        return self.linear_2(functional.silu(self.linear_1(x)))  # type: ignore[no-any-return]


class LocalDit(nn.Module):
    """The velocity of a noisy patch, given one hint token and the previous patch."""

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
        """`[n]` times to `[n, hidden]`; the model takes a step width as well, and it is always told 0."""
        widths = torch.zeros_like(times)
        return self.time_mlp(sinusoids(times, self.hidden)) + self.delta_time_mlp(sinusoids(widths, self.hidden))  # type: ignore[no-any-return]

    def forward(self, noisy: Tensor, condition: Tensor, previous: Tensor) -> Tensor:
        """Velocity `[rows, patch, feat_dim]` of `noisy`; hint is `[rows, hidden]`, previous `[rows, patch, hidden]`."""
        sequence = torch.cat((condition[:, None], previous, self.in_proj(noisy)), dim=1)  # [rows, 1 + 2 patch, hidden]
        return self.out_proj(self.decoder(sequence)[:, -noisy.shape[1] :])  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Guidance:
    """How each row wants its noise refined."""

    time_vectors: Tensor  # [rows, evaluations, dit_hidden]
    step_sizes: Tensor  # [rows, evaluations]
    cfg_values: Tensor  # [rows], float32


class FlowMatching(nn.Module):
    """The solver around the diffusion transformer."""

    def __init__(self, estimator: LocalDit) -> None:
        super().__init__()
        self.estimator = estimator

    def guidance(self, timesteps: int, cfg_value: float) -> Guidance:
        """The guidance of one row."""
        weight = self.estimator.decoder.norm.weight  # matrices may be packed away
        schedule = Schedule.of(timesteps, weight.device, weight.dtype)
        cfg_values = torch.full((1,), cfg_value, device=weight.device, dtype=torch.float32)  # filled there: no copy
        return Guidance(self.estimator.time_vectors(schedule.times)[None], schedule.step_sizes[None], cfg_values)

    def forward(self, noise: Tensor, condition: Tensor, previous: Tensor, guidance: Guidance) -> Tensor:
        """`[rows, patch, feat_dim]` noise to a patch. The second half of the doubled batch goes unguided."""
        conditions = torch.cat((condition, torch.zeros_like(condition)))  # [2 rows, dit_hidden]
        previous_embedded = self.estimator.cond_proj(previous).repeat(2, 1, 1)  # [2 rows, patch, dit_hidden]
        x = noise
        for index in range(guidance.step_sizes.shape[1]):
            time = guidance.time_vectors[:, index].repeat(2, 1)  # [2 rows, dit_hidden]
            guided, unguided = self.estimator(x.repeat(2, 1, 1), conditions + time, previous_embedded).chunk(2)
            velocity = combine(guided, unguided, guidance.cfg_values)
            x = x - guidance.step_sizes[:, index, None, None] * velocity
        return x


def combine(guided: Tensor, unguided: Tensor, cfg_values: Tensor) -> Tensor:
    """CFG-zero*: project the guided velocity on the unguided one, then go `cfg` times as far from there."""
    dot = (guided * unguided).sum(dim=(1, 2), keepdim=True)
    length = unguided.square().sum(dim=(1, 2), keepdim=True) + 1e-8
    start = unguided * (dot / length)
    return start + (cfg_values[:, None, None] * (guided - start)).to(guided.dtype)
