"""Matrices with few rows on their left, and what stands around them in a layer, each in one kernel.

Knows `[rows, inputs]` times a published `[outputs, inputs]` weight. A program owns a block of outputs for a block of
rows and walks over all inputs itself, in the same order whatever else runs: no sum is ever divided among programs, so
the same row has the same bits in every batch that takes the same block sizes. Twins in plain PyTorch stand beside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from voxfleet_inference.model.cuda.kernels.launching import blocks, launch, power_of_two, uses_kernels
from voxfleet_inference.model.cuda.kernels.norms import add_norm_reference, silu, swiglu_reference


@dataclass(frozen=True, slots=True)
class Tile:
    """The block that one program computes."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int


# By the rows there are, from few to many: few rows mean that reading weights is all the work, so many narrow programs.
# Tiles in flight must fit into the smallest shared memory there is, 99 KiB on sm_86 and sm_89; float32 takes twice the
# room and gets half.
TILES = ((16, Tile(16, 16, 256, 4, 4)), (32, Tile(32, 16, 128, 4, 4)), (64, Tile(64, 32, 64, 4, 4)))
WIDE_TILE = Tile(64, 64, 32, 4, 4)


def tile_for(rows: int) -> Tile:
    """The smallest that covers them."""
    return next((tile for most, tile in TILES if rows <= most), WIDE_TILE)


@triton.jit
def _roots(x_at, row, row_inside, epsilon, INPUTS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_INPUTS: tl.constexpr):
    """One over the root mean square of each row."""
    squares = tl.zeros((BLOCK_ROWS,), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = row_inside[:, None] & (column < INPUTS)[None, :]
        x = tl.load(x_at + row[:, None] * INPUTS + column[None, :], mask=inside, other=0.0).to(tl.float32)
        squares += tl.sum(x * x, axis=1)
    return tl.rsqrt(squares / INPUTS + epsilon)


@triton.jit(do_not_specialize=["rows"])
def _norm_linear_kernel(
    x_at,
    norm_at,
    weight_at,
    out_at,
    rows,
    epsilon,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    IS_SWIGLU: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """Normalise, multiply; with SwiGLU the weight holds all gates and then all ups, and the gated product is stored."""
    row = (tl.program_id(1) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)).to(tl.int64)
    output = (tl.program_id(0) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    row_inside, output_inside = row < rows, output < OUTPUTS
    root = _roots(x_at, row, row_inside, epsilon, INPUTS, BLOCK_ROWS, BLOCK_INPUTS)
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    total_up = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = column < INPUTS
        x = tl.load(
            x_at + row[:, None] * INPUTS + column[None, :], mask=row_inside[:, None] & inside[None, :], other=0.0
        )
        norm = tl.load(norm_at + column, mask=inside, other=0.0)
        rounded = (x.to(tl.float32) * root[:, None]).to(x.dtype).to(tl.float32)
        normed = (rounded * norm.to(tl.float32)[None, :]).to(x.dtype)
        weight_mask = inside[:, None] & output_inside[None, :]
        at = weight_at + output[None, :] * INPUTS + column[:, None]
        total = tl.dot(normed, tl.load(at, mask=weight_mask, other=0.0), total, input_precision="ieee")
        if IS_SWIGLU:
            up = tl.load(at + OUTPUTS * INPUTS, mask=weight_mask, other=0.0)
            total_up = tl.dot(normed, up, total_up, input_precision="ieee")
    made = total.to(out_at.dtype.element_ty)
    if IS_SWIGLU:
        gate = silu(made.to(tl.float32)).to(made.dtype).to(tl.float32)
        made = (gate * total_up.to(made.dtype).to(tl.float32)).to(made.dtype)
    tl.store(out_at + row[:, None] * OUTPUTS + output[None, :], made, mask=row_inside[:, None] & output_inside[None, :])


@triton.jit(do_not_specialize=["rows"])
def _linear_residual_kernel(
    x_at,
    weight_at,
    residual_at,
    out_at,
    rows,
    scale,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    SCALES: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """Multiply, round, add to what was there."""
    row = (tl.program_id(1) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)).to(tl.int64)
    output = (tl.program_id(0) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    row_inside, output_inside = row < rows, output < OUTPUTS
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = column < INPUTS
        x = tl.load(
            x_at + row[:, None] * INPUTS + column[None, :], mask=row_inside[:, None] & inside[None, :], other=0.0
        )
        weight = tl.load(
            weight_at + output[None, :] * INPUTS + column[:, None],
            mask=inside[:, None] & output_inside[None, :],
            other=0.0,
        )
        total = tl.dot(x, weight, total, input_precision="ieee")
    made = total.to(out_at.dtype.element_ty)
    if SCALES:
        made = (made.to(tl.float32) * scale).to(made.dtype)
    mask = row_inside[:, None] & output_inside[None, :]
    at = row[:, None] * OUTPUTS + output[None, :]
    there = tl.load(residual_at + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_at + at, (there + made.to(tl.float32)).to(made.dtype), mask=mask)


def norm_linear(x: Tensor, norm: Tensor, epsilon: float, weight: Tensor, *, is_swiglu: bool = False) -> Tensor:
    """The norm of `[rows, inputs]` times a weight, `[rows, outputs]`; with SwiGLU half as many outputs, gated."""
    if not uses_kernels(x):
        return norm_linear_reference(x, norm, epsilon, weight, is_swiglu=is_swiglu)
    outputs, inputs = weight.shape[0] // (2 if is_swiglu else 1), weight.shape[1]
    out = x.new_empty(x.shape[0], outputs)
    grid, options = _tiling(x, outputs, inputs)
    arguments = (x, norm, weight, out, x.shape[0], epsilon)
    launch(_norm_linear_kernel, grid, *arguments, INPUTS=inputs, OUTPUTS=outputs, IS_SWIGLU=is_swiglu, **options)
    return out


def norm_linear_reference(
    x: Tensor, norm: Tensor, epsilon: float, weight: Tensor, *, is_swiglu: bool = False
) -> Tensor:
    """The same in plain PyTorch."""
    made = functional.linear(add_norm_reference(x, None, 1.0, norm, epsilon)[1], weight)
    return swiglu_reference(made) if is_swiglu else made


def linear_residual(x: Tensor, weight: Tensor, residual: Tensor, scale: float = 1.0) -> Tensor:
    """`residual + scale * (x times weight)`, `[rows, outputs]`."""
    if not uses_kernels(x):
        return linear_residual_reference(x, weight, residual, scale)
    outputs, inputs = weight.shape
    out = torch.empty_like(residual)
    grid, options = _tiling(x, outputs, inputs)
    arguments = (x, weight, residual, out, x.shape[0], scale)
    launch(_linear_residual_kernel, grid, *arguments, INPUTS=inputs, OUTPUTS=outputs, SCALES=scale != 1.0, **options)
    return out


def linear_residual_reference(x: Tensor, weight: Tensor, residual: Tensor, scale: float = 1.0) -> Tensor:
    """The same in plain PyTorch."""
    made = functional.linear(x, weight)
    return residual + (made if scale == 1.0 else made * scale)


def _tiling(x: Tensor, outputs: int, inputs: int) -> tuple[tuple[int, int], dict[str, int]]:
    tile, share = tile_for(len(x)), x.itemsize // 2
    grid = (blocks(outputs, tile.outputs), blocks(len(x), tile.rows))
    return grid, {
        "BLOCK_ROWS": tile.rows,
        "BLOCK_OUTPUTS": tile.outputs,
        "BLOCK_INPUTS": min(tile.inputs // share, power_of_two(inputs)),
        "num_warps": tile.warps,
        "num_stages": tile.stages // share,
    }
