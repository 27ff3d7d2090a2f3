"""Kernels over whole rows `[rows, width]`: residual sum with RMSNorm, and the gate of SwiGLU.

Each kernel has its reference in plain PyTorch and rounds where the reference model rounds: a norm computes in float32
and rounds before its weight; every sum and product is rounded.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from voxfleet_inference.model.cuda.kernels.launch import cdiv, launch, next_power_of_two, uses_kernels

_SWIGLU_BLOCK = 1024


@triton.jit
def _add_norm_kernel(
    x_ptr,
    delta_ptr,
    weight_ptr,
    sum_ptr,
    out_ptr,
    scale,
    epsilon,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    HAS_DELTA: tl.constexpr,
    HAS_SCALE: tl.constexpr,
) -> None:
    """One row per program."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    offset = row.to(tl.int64) * WIDTH + column
    x = tl.load(x_ptr + offset, mask=inside, other=0.0)
    if HAS_DELTA:
        delta = tl.load(delta_ptr + offset, mask=inside, other=0.0)
        if HAS_SCALE:
            delta = (delta.to(tl.float32) * scale).to(x.dtype)
        x = (x.to(tl.float32) + delta.to(tl.float32)).to(x.dtype)
        tl.store(sum_ptr + offset, x, mask=inside)
    wide = x.to(tl.float32)
    inverse = tl.rsqrt(tl.sum(wide * wide, axis=0) / WIDTH + epsilon)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0).to(tl.float32)
    normed = (wide * inverse).to(x.dtype).to(tl.float32) * weight
    tl.store(out_ptr + offset, normed.to(x.dtype), mask=inside)


def add_norm(x: Tensor, delta: Tensor | None, scale: float, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return `x + scale * delta` and its RMSNorm, `[rows, width]` each; without a delta the sum is x itself."""
    if not uses_kernels(x):
        return add_norm_reference(x, delta, scale, weight, epsilon)
    total = x if delta is None else torch.empty_like(x)
    out = torch.empty_like(x)
    width = x.shape[-1]
    launch(
        _add_norm_kernel,
        (x.shape[0],),
        *(x, x if delta is None else delta, weight, total, out, scale, epsilon),
        WIDTH=width,
        BLOCK=next_power_of_two(width),
        HAS_DELTA=delta is not None,
        HAS_SCALE=scale != 1.0,
        num_warps=4,
    )
    return total, out


def add_norm_reference(
    x: Tensor, delta: Tensor | None, scale: float, weight: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """The reference of `add_norm` in plain PyTorch."""
    if delta is not None:
        x = x + (delta if scale == 1.0 else delta * scale)
    mean_square = x.float().square().mean(dim=-1, keepdim=True)
    return x, (x * torch.rsqrt(mean_square + epsilon)).to(x.dtype) * weight


@triton.jit
def silu(x):
    """The sigmoid linear unit of float32 numbers."""
    return x / (1.0 + tl.exp(-x))


@triton.jit
def _swiglu_kernel(
    gate_up_ptr,
    out_ptr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One block of one row per program."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < WIDTH
    gate = tl.load(gate_up_ptr + row * 2 * WIDTH + column, mask=inside, other=0.0)
    up = tl.load(gate_up_ptr + row * 2 * WIDTH + WIDTH + column, mask=inside, other=0.0)
    active = silu(gate.to(tl.float32)).to(gate.dtype)
    tl.store(out_ptr + row * WIDTH + column, (active.to(tl.float32) * up.to(tl.float32)).to(gate.dtype), mask=inside)


def swiglu(gate_up: Tensor) -> Tensor:
    """Gate `[rows, 2 ffn]`, gates first, to `[rows, ffn]`: silu(gate) * up."""
    if not uses_kernels(gate_up):
        return swiglu_reference(gate_up)
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(rows, width)
    block = min(_SWIGLU_BLOCK, next_power_of_two(width))
    launch(_swiglu_kernel, (rows, cdiv(width, block)), gate_up, out, WIDTH=width, BLOCK=block, num_warps=4)
    return out


def swiglu_reference(gate_up: Tensor) -> Tensor:
    """The reference of `swiglu` in plain PyTorch."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate) * up
