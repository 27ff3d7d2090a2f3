"""Matrix products with few rows, each fused with the norm before it or the residual sum after it.

Products are `[rows, inputs]` times a published weight `[outputs, inputs]`. A program computes a block of outputs for a
block of rows over all inputs, always in the same order: no sum is divided among programs (no split-K), so a row has the
same bits in every batch with the same block sizes. References in plain PyTorch are next to the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from voxfleet_inference.model.cuda.kernels.launch import cdiv, launch, next_power_of_two, uses_kernels
from voxfleet_inference.model.cuda.kernels.norms import add_norm_reference, silu, swiglu_reference


@dataclass(frozen=True, slots=True)
class Tile:
    """The block that one program computes, and how Triton schedules it."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int


# By the largest number of rows. With few rows the time is that of reading weights, so many narrow programs read them.
# `stages` tiles must fit into the smallest shared memory, 99 KiB on sm_86 and sm_89; float32 takes twice the memory per
# number, so it gets half the inputs and half the stages.
TILES = ((16, Tile(16, 16, 256, 4, 4)), (32, Tile(32, 16, 128, 4, 4)), (64, Tile(64, 32, 64, 4, 4)))
WIDE_TILE = Tile(64, 64, 32, 4, 4)


def tile_for(rows: int) -> Tile:
    """Return the smallest tile that covers the rows."""
    return next((tile for most, tile in TILES if rows <= most), WIDE_TILE)


@triton.jit
def _inverse_rms(
    x_ptr, row, row_inside, epsilon, INPUTS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_INPUTS: tl.constexpr
):
    """Compute one over the inverse mean square of each row, `[BLOCK_ROWS]`."""
    squares = tl.zeros((BLOCK_ROWS,), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = row_inside[:, None] & (column < INPUTS)[None, :]
        x = tl.load(x_ptr + row[:, None] * INPUTS + column[None, :], mask=inside, other=0.0).to(tl.float32)
        squares += tl.sum(x * x, axis=1)
    return tl.rsqrt(squares / INPUTS + epsilon)


@triton.jit(do_not_specialize=["rows"])
def _norm_linear_kernel(
    x_ptr,
    norm_ptr,
    weight_ptr,
    out_ptr,
    rows,
    epsilon,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    IS_SWIGLU: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """RMSNorm, then a product; with SwiGLU the weight is all gates, then all ups, and silu(gate) * up is stored."""
    row = (tl.program_id(1) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)).to(tl.int64)
    output = (tl.program_id(0) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    row_inside, output_inside = row < rows, output < OUTPUTS
    inverse = _inverse_rms(x_ptr, row, row_inside, epsilon, INPUTS, BLOCK_ROWS, BLOCK_INPUTS)
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    total_up = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = column < INPUTS
        x = tl.load(
            x_ptr + row[:, None] * INPUTS + column[None, :], mask=row_inside[:, None] & inside[None, :], other=0.0
        )
        norm = tl.load(norm_ptr + column, mask=inside, other=0.0)
        rounded = (x.to(tl.float32) * inverse[:, None]).to(x.dtype).to(tl.float32)
        normed = (rounded * norm.to(tl.float32)[None, :]).to(x.dtype)
        weight_mask = inside[:, None] & output_inside[None, :]
        at = weight_ptr + output[None, :] * INPUTS + column[:, None]
        total = tl.dot(normed, tl.load(at, mask=weight_mask, other=0.0), total, input_precision="ieee")
        if IS_SWIGLU:
            up = tl.load(at + OUTPUTS * INPUTS, mask=weight_mask, other=0.0)
            total_up = tl.dot(normed, up, total_up, input_precision="ieee")
    result = total.to(out_ptr.dtype.element_ty)
    if IS_SWIGLU:
        gate = silu(result.to(tl.float32)).to(result.dtype).to(tl.float32)
        result = (gate * total_up.to(result.dtype).to(tl.float32)).to(result.dtype)
    tl.store(
        out_ptr + row[:, None] * OUTPUTS + output[None, :], result, mask=row_inside[:, None] & output_inside[None, :]
    )


@triton.jit(do_not_specialize=["rows"])
def _linear_residual_kernel(
    x_ptr,
    weight_ptr,
    residual_ptr,
    out_ptr,
    rows,
    scale,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """A product, rounded, added to the residual."""
    row = (tl.program_id(1) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)).to(tl.int64)
    output = (tl.program_id(0) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    row_inside, output_inside = row < rows, output < OUTPUTS
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUTPUTS), dtype=tl.float32)
    for start in range(0, INPUTS, BLOCK_INPUTS):
        column = start + tl.arange(0, BLOCK_INPUTS)
        inside = column < INPUTS
        x = tl.load(
            x_ptr + row[:, None] * INPUTS + column[None, :], mask=row_inside[:, None] & inside[None, :], other=0.0
        )
        weight = tl.load(
            weight_ptr + output[None, :] * INPUTS + column[:, None],
            mask=inside[:, None] & output_inside[None, :],
            other=0.0,
        )
        total = tl.dot(x, weight, total, input_precision="ieee")
    result = total.to(out_ptr.dtype.element_ty)
    if HAS_SCALE:
        result = (result.to(tl.float32) * scale).to(result.dtype)
    mask = row_inside[:, None] & output_inside[None, :]
    offset = row[:, None] * OUTPUTS + output[None, :]
    residual = tl.load(residual_ptr + offset, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + offset, (residual + result.to(tl.float32)).to(result.dtype), mask=mask)


def norm_linear(x: Tensor, norm: Tensor, epsilon: float, weight: Tensor, *, is_swiglu: bool = False) -> Tensor:
    """Multiply the norm of `[rows, inputs]` by a weight: `[rows, outputs]`, or half as many with SwiGLU."""
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
    """The reference of `norm_linear` in plain PyTorch."""
    product = functional.linear(add_norm_reference(x, None, 1.0, norm, epsilon)[1], weight)
    return swiglu_reference(product) if is_swiglu else product


def linear_residual(x: Tensor, weight: Tensor, residual: Tensor, scale: float = 1.0) -> Tensor:
    """Return `residual + scale * (x times weight)`, `[rows, outputs]`."""
    if not uses_kernels(x):
        return linear_residual_reference(x, weight, residual, scale)
    outputs, inputs = weight.shape
    out = torch.empty_like(residual)
    grid, options = _tiling(x, outputs, inputs)
    arguments = (x, weight, residual, out, x.shape[0], scale)
    launch(_linear_residual_kernel, grid, *arguments, INPUTS=inputs, OUTPUTS=outputs, HAS_SCALE=scale != 1.0, **options)
    return out


def linear_residual_reference(x: Tensor, weight: Tensor, residual: Tensor, scale: float = 1.0) -> Tensor:
    """The reference of `linear_residual` in plain PyTorch."""
    product = functional.linear(x, weight)
    return residual + (product if scale == 1.0 else product * scale)


def _tiling(x: Tensor, outputs: int, inputs: int) -> tuple[tuple[int, int], dict[str, int]]:
    tile, width = tile_for(len(x)), x.itemsize // 2  # 1 for bfloat16, 2 for float32
    grid = (cdiv(outputs, tile.outputs), cdiv(len(x), tile.rows))
    return grid, {
        "BLOCK_ROWS": tile.rows,
        "BLOCK_OUTPUTS": tile.outputs,
        "BLOCK_INPUTS": min(tile.inputs // width, next_power_of_two(inputs)),
        "num_warps": tile.warps,
        "num_stages": tile.stages // width,
    }
