"""Rotary embedding, grouped-query attention and the update of the KV cache, in one kernel.

Two kinds of sequences: rows of the KV cache, each with its own extent and length, with causal attention; and short
sequences without a cache (a patch and its conditions), with bidirectional attention. The input is the product with the
joined weights: queries, keys and values side by side, not rotated. The kernel reads lengths on the device, so that a
captured step stays valid as sequences grow, and its cost follows the filled length. Decode steps of small batches use
`split_kv`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import triton
import triton.language as tl
from torch import Tensor

from voxfleet_inference.model.cuda.kernels.launch import cdiv, launch, next_power_of_two, uses_kernels
from voxfleet_inference.model.cuda.kernels.softmax import Heads, attend_cached, attend_new, load_rotated
from voxfleet_inference.model.cuda.kernels.split_kv import split_kv_attention, splits_for
from voxfleet_inference.model.layers.kv_cache import attend_padded, grouped_attention
from voxfleet_inference.model.layers.transformer import RotaryTable, rotate

if TYPE_CHECKING:
    from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvLayer

_BLOCK_QUERIES = 16  # query heads that share a key head, times tokens
_BLOCK_KEYS = 64
_BLOCK_SHORT = 16  # keys per block of a sequence without a cache, which has few
_ALL_POSITIONS = 2**31  # more than a rotary table has: a slice of the whole table


# In prefill `first_ptr` and `lengths_ptr` point to one slot's element of a tensor. Specialized on its alignment, some
# slots would need another kernel, which would then be compiled while requests wait.
@triton.jit(do_not_specialize=["tokens"], do_not_specialize_on_alignment=["first_ptr", "lengths_ptr"])
def _attention_kernel(
    qkv_ptr, keys_ptr, values_ptr, first_ptr, lengths_ptr, cosines_ptr, sines_ptr, out_ptr, tokens, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr, BLOCK_KEYS: tl.constexpr, HAS_CACHE: tl.constexpr,
):  # fmt: skip
    """One block of a row's queries that share a key head; the program of block 0 stores the new keys and values."""
    row, kv_head, query_block = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    group: tl.constexpr = HEADS // KV_HEADS
    dim = tl.arange(0, BLOCK_DIM)
    length = tl.load(lengths_ptr + row) if HAS_CACHE else tokens * 0
    first = tl.load(first_ptr + row) if HAS_CACHE else row * 0
    index = query_block * BLOCK_QUERIES + tl.arange(0, BLOCK_QUERIES)
    token, head = index // group, kv_head * group + index % group
    mask = (token < tokens)[:, None] & (dim < DIM)[None, :]
    query_ptr = qkv_ptr + (row * tokens + token) * ((HEADS + 2 * KV_HEADS) * DIM) + head * DIM
    query = load_rotated(query_ptr, length + token, cosines_ptr, sines_ptr, dim, mask, DIM)
    row_max = tl.full((BLOCK_QUERIES,), -1e30, dtype=tl.float32)
    row_sum = tl.zeros((BLOCK_QUERIES,), dtype=tl.float32)
    acc = tl.zeros((BLOCK_QUERIES, BLOCK_DIM), dtype=tl.float32)
    if HAS_CACHE:
        row_max, row_sum, acc = attend_cached(
            query, row_max, row_sum, acc, keys_ptr, values_ptr, first, length, kv_head, 0, 1, scale,
            KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS,
        )  # fmt: skip
    row_max, row_sum, acc = attend_new(
        query, row_max, row_sum, acc, qkv_ptr, keys_ptr, values_ptr, cosines_ptr, sines_ptr, row, token, tokens, first,
        length, kv_head, query_block == 0, scale, HEADS, KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS, HAS_CACHE,
    )  # fmt: skip
    output = (acc / row_sum[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + ((row * tokens + token) * HEADS + head)[:, None] * DIM + dim[None, :], output, mask=mask)


@dataclass(frozen=True, slots=True)
class KvContext:
    """The cache of one language model layer, and the positions that a pass appends to it."""

    layer: KvLayer
    metadata: AttentionMetadata
    may_split_kv: bool = True


def attention(qkv: Tensor, heads: Heads, rotary: RotaryTable, context: KvContext | None) -> Tensor:
    """Attend `[rows, tokens, queries + keys + values]` to `[rows, tokens, heads * head_dim]` and update the cache."""
    if not uses_kernels(qkv):
        return attention_reference(qkv, heads, rotary, context)
    rows, tokens, _ = qkv.shape
    cosines, sines = rotary.first(_ALL_POSITIONS)
    out = qkv.new_empty(rows, tokens, heads.queries * heads.dim)
    # Without a cache its four arguments are not read; any tensor stands in for them.
    cache = (qkv, qkv, qkv, qkv) if context is None else _cache_tensors(context)
    splits = splits_for(rows, tokens, heads.keys) if context is not None and context.may_split_kv else 1
    if splits > 1:
        split_kv_attention(qkv, cache, (cosines, sines), out, heads, splits)
        return out
    queries = tokens * heads.queries // heads.keys
    launch(
        _attention_kernel,
        (rows, heads.keys, cdiv(queries, _BLOCK_QUERIES)),
        *(qkv, *cache, cosines, sines, out, tokens, 1 / math.sqrt(heads.dim)),
        HEADS=heads.queries,
        KV_HEADS=heads.keys,
        DIM=heads.dim,
        BLOCK_DIM=next_power_of_two(heads.dim),
        BLOCK_QUERIES=_BLOCK_QUERIES,
        BLOCK_KEYS=_BLOCK_KEYS if context else _BLOCK_SHORT,
        HAS_CACHE=context is not None,
        num_warps=4 if context else 1,
        num_stages=2 if qkv.itemsize == 2 else 1,  # noqa: PLR2004 - bytes; float32 takes twice the shared memory
    )
    return out


def attention_reference(qkv: Tensor, heads: Heads, rotary: RotaryTable, context: KvContext | None) -> Tensor:
    """The reference of `attention` in plain PyTorch."""
    tokens = qkv.shape[1]
    angles = rotary.first(tokens) if context is None else rotary.at(context.metadata.positions)
    queries, keys, values = (part.unflatten(-1, (-1, heads.dim)) for part in qkv.split(heads.widths, dim=-1))
    queries, keys = rotate(queries, angles), rotate(keys, angles)
    if context is None:
        return grouped_attention(queries, keys, values)
    return attend_padded(context.layer, context.metadata, queries, keys, values)


def _cache_tensors(context: KvContext) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return context.layer.keys, context.layer.values, context.metadata.first, context.metadata.lengths
