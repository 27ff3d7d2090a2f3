"""Attention of few rows that each add one token: what a row remembers is divided among programs, then merged.

A row and a key head alone are too few programs to keep a GPU's memory busy. Here each of `parts` programs takes every
`parts`-th block of keys and leaves its softmax unfinished; a second kernel joins them, always in the same order. How
many parts there are follows from the shape of the pass alone, so that a recording holds for every length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from voxfleet_inference.model.cuda.kernels.launching import launch, power_of_two
from voxfleet_inference.model.cuda.kernels.softmax import attend_cached, attend_new, rotated

if TYPE_CHECKING:
    from voxfleet_inference.model.cuda.kernels.softmax import Heads

MOST_PARTS = 16
_WORTH_PROGRAMS = 64  # with so many a pass keeps enough loads in flight; more would merge more than they read
_BLOCK_KEYS = 64


def parts_for(rows: int, tokens: int, kv_heads: int) -> int:
    """Among how many programs a row's memory is divided for each key head; prompts have programs enough."""
    return max(1, min(MOST_PARTS, _WORTH_PROGRAMS // (rows * kv_heads))) if tokens == 1 else 1


@triton.jit(do_not_specialize=["tokens"], do_not_specialize_on_alignment=["first_at", "lengths_at"])
def _part_kernel(
    qkv_at, keys_at, values_at, first_at, lengths_at, cosines_at, sines_at, best_at, weight_at, mixed_at, tokens, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr, BLOCK_KEYS: tl.constexpr,
):  # fmt: skip
    """The queries of one row's new token that share one key head, over a part of their keys; the first has the new."""
    row, kv_head, part = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    parts = tl.num_programs(2)
    group: tl.constexpr = HEADS // KV_HEADS
    dim = tl.arange(0, BLOCK_DIM)
    length, slot = tl.load(lengths_at + row), tl.load(first_at + row)
    query = tl.arange(0, BLOCK_QUERIES)
    head = kv_head * group + query % group
    mask = (query < group)[:, None] & (dim < DIM)[None, :]
    query_at = qkv_at + row * ((HEADS + 2 * KV_HEADS) * DIM) + head * DIM
    turned = rotated(query_at, length + query * 0, cosines_at, sines_at, dim, mask, DIM)
    best = tl.full((BLOCK_QUERIES,), -1e30, dtype=tl.float32)
    weight = tl.zeros((BLOCK_QUERIES,), dtype=tl.float32)
    mixed = tl.zeros((BLOCK_QUERIES, BLOCK_DIM), dtype=tl.float32)
    best, weight, mixed = attend_cached(
        turned, best, weight, mixed, keys_at, values_at, slot, length, kv_head, part, parts, scale,
        KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS,
    )  # fmt: skip
    if part == 0:
        best, weight, mixed = attend_new(
            turned, best, weight, mixed, qkv_at, keys_at, values_at, cosines_at, sines_at, row, query * 0, tokens, slot,
            length, kv_head, part == 0, scale, HEADS, KV_HEADS, DIM, BLOCK_DIM, 16, True,
        )  # fmt: skip
    at = (row * HEADS + head) * parts + part
    tl.store(best_at + at, best, mask=query < group)
    tl.store(weight_at + at, weight, mask=query < group)
    tl.store(mixed_at + at[:, None] * DIM + dim[None, :], mixed, mask=mask)


@triton.jit(do_not_specialize=["parts"])
def _merge_kernel(
    best_at, weight_at, mixed_at, out_at, parts,
    HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK_PARTS: tl.constexpr,
):  # fmt: skip
    """One head of one row: unfinished softmaxes brought to one maximum, added and divided."""
    whole = tl.program_id(0).to(tl.int64) * HEADS + tl.program_id(1)
    part, dim = tl.arange(0, BLOCK_PARTS), tl.arange(0, BLOCK_DIM)
    there = part < parts
    mask = there[:, None] & (dim < DIM)[None, :]
    best = tl.load(best_at + whole * parts + part, mask=there, other=-1e30)
    fade = tl.exp(best - tl.max(best, axis=0))
    weight = tl.sum(tl.load(weight_at + whole * parts + part, mask=there, other=0.0) * fade, axis=0)
    mixed = tl.load(mixed_at + (whole * parts + part)[:, None] * DIM + dim[None, :], mask=mask, other=0.0)
    made = tl.sum(mixed * fade[:, None], axis=0) / weight
    tl.store(out_at + whole * DIM + dim, made.to(out_at.dtype.element_ty), mask=dim < DIM)


def split_kv_attention(
    qkv: Tensor, memory: tuple[Tensor, ...], tables: tuple[Tensor, Tensor], out: Tensor, heads: Heads, parts: int
) -> None:
    """Fill `out`, `[rows, 1, heads * head_dim]`; new keys are remembered."""
    rows, tokens, _ = qkv.shape
    best, weight = (qkv.new_empty(rows, heads.queries, parts, dtype=torch.float32) for _ in range(2))
    mixed = qkv.new_empty(rows, heads.queries, parts, heads.dim, dtype=torch.float32)
    sizes = {"HEADS": heads.queries, "DIM": heads.dim, "BLOCK_DIM": power_of_two(heads.dim)}
    launch(
        _part_kernel,
        (rows, heads.keys, parts),
        *(qkv, *memory, *tables, best, weight, mixed, tokens, 1 / math.sqrt(heads.dim)),
        **sizes,
        KV_HEADS=heads.keys,
        BLOCK_QUERIES=power_of_two(heads.queries // heads.keys),
        BLOCK_KEYS=_BLOCK_KEYS,
        num_warps=4,
        num_stages=2 if qkv.itemsize == 2 else 1,  # noqa: PLR2004 - bytes; float32 takes twice the shared memory
    )
    launch(_merge_kernel, (rows, heads.queries), best, weight, mixed, out, parts, **sizes, BLOCK_PARTS=MOST_PARTS)
