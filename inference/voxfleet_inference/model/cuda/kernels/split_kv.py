"""Split-KV attention for small decode batches: the cached positions of a row are divided among programs, then merged.

This is Flash-Decoding (Dao, Haziza, Massa and Sizov, 2023): one program per row and key head would be too few to keep a
GPU's memory busy. Each of `splits` programs takes every `splits`-th block of keys and stores its unfinished softmax; a
second kernel merges them, always in the same order. The number of splits follows from the shape of the pass alone, so
that a captured graph is valid for every length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from voxfleet_inference.model.cuda.kernels.launch import launch, next_power_of_two
from voxfleet_inference.model.cuda.kernels.softmax import attend_cached, attend_new, load_rotated

if TYPE_CHECKING:
    from voxfleet_inference.model.cuda.kernels.softmax import Heads

MAX_SPLITS = 16
_TARGET_PROGRAMS = 64  # enough loads in flight; with more programs merging costs more than the split saves
_BLOCK_KEYS = 64


def splits_for(rows: int, tokens: int, kv_heads: int) -> int:
    """Return the number of splits per row and key head; prefill has enough programs without."""
    return max(1, min(MAX_SPLITS, _TARGET_PROGRAMS // (rows * kv_heads))) if tokens == 1 else 1


@triton.jit(do_not_specialize=["tokens"], do_not_specialize_on_alignment=["first_ptr", "lengths_ptr"])
def _split_kernel(
    qkv_ptr, keys_ptr, values_ptr, first_ptr, lengths_ptr, cosines_ptr, sines_ptr, max_ptr, sum_ptr, acc_ptr, tokens,
    scale, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr, BLOCK_KEYS: tl.constexpr,
):  # fmt: skip
    """The query heads of one row that share a key head, over one split of the keys; split 0 takes the new token too."""
    row, kv_head, split = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    splits = tl.num_programs(2)
    group: tl.constexpr = HEADS // KV_HEADS
    dim = tl.arange(0, BLOCK_DIM)
    length, first = tl.load(lengths_ptr + row), tl.load(first_ptr + row)
    index = tl.arange(0, BLOCK_QUERIES)
    head = kv_head * group + index % group
    mask = (index < group)[:, None] & (dim < DIM)[None, :]
    query_ptr = qkv_ptr + row * ((HEADS + 2 * KV_HEADS) * DIM) + head * DIM
    query = load_rotated(query_ptr, length + index * 0, cosines_ptr, sines_ptr, dim, mask, DIM)
    row_max = tl.full((BLOCK_QUERIES,), -1e30, dtype=tl.float32)
    row_sum = tl.zeros((BLOCK_QUERIES,), dtype=tl.float32)
    acc = tl.zeros((BLOCK_QUERIES, BLOCK_DIM), dtype=tl.float32)
    row_max, row_sum, acc = attend_cached(
        query, row_max, row_sum, acc, keys_ptr, values_ptr, first, length, kv_head, split, splits, scale,
        KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS,
    )  # fmt: skip
    if split == 0:
        row_max, row_sum, acc = attend_new(
            query, row_max, row_sum, acc, qkv_ptr, keys_ptr, values_ptr, cosines_ptr, sines_ptr, row, index * 0, tokens,
            first, length, kv_head, split == 0, scale, HEADS, KV_HEADS, DIM, BLOCK_DIM, 16, True,
        )  # fmt: skip
    part = (row * HEADS + head) * splits + split  # [BLOCK_QUERIES]
    tl.store(max_ptr + part, row_max, mask=index < group)
    tl.store(sum_ptr + part, row_sum, mask=index < group)
    tl.store(acc_ptr + part[:, None] * DIM + dim[None, :], acc, mask=mask)


@triton.jit(do_not_specialize=["splits"])
def _merge_kernel(
    max_ptr, sum_ptr, acc_ptr, out_ptr, splits,
    HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK_SPLITS: tl.constexpr,
):  # fmt: skip
    """One head of one row: rescale the splits to their common maximum, sum and divide."""
    row_head = tl.program_id(0).to(tl.int64) * HEADS + tl.program_id(1)
    split, dim = tl.arange(0, BLOCK_SPLITS), tl.arange(0, BLOCK_DIM)
    inside = split < splits
    mask = inside[:, None] & (dim < DIM)[None, :]
    row_max = tl.load(max_ptr + row_head * splits + split, mask=inside, other=-1e30)
    rescale = tl.exp(row_max - tl.max(row_max, axis=0))
    row_sum = tl.sum(tl.load(sum_ptr + row_head * splits + split, mask=inside, other=0.0) * rescale, axis=0)
    acc = tl.load(acc_ptr + (row_head * splits + split)[:, None] * DIM + dim[None, :], mask=mask, other=0.0)
    output = tl.sum(acc * rescale[:, None], axis=0) / row_sum
    tl.store(out_ptr + row_head * DIM + dim, output.to(out_ptr.dtype.element_ty), mask=dim < DIM)


def split_kv_attention(
    qkv: Tensor, cache: tuple[Tensor, ...], tables: tuple[Tensor, Tensor], out: Tensor, heads: Heads, splits: int
) -> None:
    """Write the attention of one new token per row to `out`, `[rows, 1, heads * head_dim]`, and update the cache."""
    rows, tokens, _ = qkv.shape
    row_max, row_sum = (qkv.new_empty(rows, heads.queries, splits, dtype=torch.float32) for _ in range(2))
    acc = qkv.new_empty(rows, heads.queries, splits, heads.dim, dtype=torch.float32)
    sizes = {"HEADS": heads.queries, "DIM": heads.dim, "BLOCK_DIM": next_power_of_two(heads.dim)}
    launch(
        _split_kernel,
        (rows, heads.keys, splits),
        *(qkv, *cache, *tables, row_max, row_sum, acc, tokens, 1 / math.sqrt(heads.dim)),
        **sizes,
        KV_HEADS=heads.keys,
        BLOCK_QUERIES=next_power_of_two(heads.queries // heads.keys),
        BLOCK_KEYS=_BLOCK_KEYS,
        num_warps=4,
        num_stages=2 if qkv.itemsize == 2 else 1,  # noqa: PLR2004 - bytes; float32 takes twice the shared memory
    )
    launch(_merge_kernel, (rows, heads.queries), row_max, row_sum, acc, out, splits, **sizes, BLOCK_SPLITS=MAX_SPLITS)
