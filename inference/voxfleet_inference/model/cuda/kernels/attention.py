"""Rotary positions, grouped-query attention and the writing of keys and values, in one kernel.

Knows two kinds of sequences: rows of a KV arena, each with its own extent and length, whose new tokens see everything
before them; and short sequences on their own (a patch and its conditions), whose tokens all see one another. Input is
what one matrix made: queries, keys and values side by side, not yet rotated. Reads the lengths on the device, so that
a recorded step goes on as sentences grow, and costs what they have grown to. Few rows that take a step are divided
further, see `split_kv`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import triton
import triton.language as tl
from torch import Tensor

from voxfleet_inference.model.cuda.kernels.launching import blocks, launch, power_of_two, uses_kernels
from voxfleet_inference.model.cuda.kernels.softmax import Heads, attend_cached, attend_new, rotated
from voxfleet_inference.model.cuda.kernels.split_kv import parts_for, split_kv_attention
from voxfleet_inference.model.kv_cache import attend_padded, grouped_attention
from voxfleet_inference.model.transformer import RotaryTable, rotate

if TYPE_CHECKING:
    from voxfleet_inference.model.kv_cache import AttentionMetadata, KvLayer

_BLOCK_QUERIES = 16  # heads that share a key head, times tokens
_BLOCK_KEYS = 64
_BLOCK_SHORT = 16  # of the few keys that a sequence on its own has
_EVERY_POSITION = 2**31


# A prompt is read from one seat's place in a table: whether that is aligned must not mean another kernel.
@triton.jit(do_not_specialize=["tokens"], do_not_specialize_on_alignment=["first_at", "lengths_at"])
def _attention_kernel(
    qkv_at, keys_at, values_at, first_at, lengths_at, cosines_at, sines_at, out_at, tokens, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr, BLOCK_KEYS: tl.constexpr, HAS_PAST: tl.constexpr,
):  # fmt: skip
    """A block of queries of one row that share one key head; its new keys are stored by whoever asks for them."""
    row, kv_head, part = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    group: tl.constexpr = HEADS // KV_HEADS
    dim = tl.arange(0, BLOCK_DIM)
    length = tl.load(lengths_at + row) if HAS_PAST else tokens * 0
    slot = tl.load(first_at + row) if HAS_PAST else row * 0
    query = part * BLOCK_QUERIES + tl.arange(0, BLOCK_QUERIES)
    token, head = query // group, kv_head * group + query % group
    mask = (token < tokens)[:, None] & (dim < DIM)[None, :]
    query_at = qkv_at + (row * tokens + token) * ((HEADS + 2 * KV_HEADS) * DIM) + head * DIM
    turned = rotated(query_at, length + token, cosines_at, sines_at, dim, mask, DIM)
    best = tl.full((BLOCK_QUERIES,), -1e30, dtype=tl.float32)
    weight = tl.zeros((BLOCK_QUERIES,), dtype=tl.float32)
    mixed = tl.zeros((BLOCK_QUERIES, BLOCK_DIM), dtype=tl.float32)
    if HAS_PAST:
        best, weight, mixed = attend_cached(
            turned, best, weight, mixed, keys_at, values_at, slot, length, kv_head, 0, 1, scale,
            KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS,
        )  # fmt: skip
    best, weight, mixed = attend_new(
        turned, best, weight, mixed, qkv_at, keys_at, values_at, cosines_at, sines_at, row, token, tokens, slot,
        length, kv_head, part == 0, scale, HEADS, KV_HEADS, DIM, BLOCK_DIM, BLOCK_KEYS, HAS_PAST,
    )  # fmt: skip
    made = (mixed / weight[:, None]).to(out_at.dtype.element_ty)
    tl.store(out_at + ((row * tokens + token) * HEADS + head)[:, None] * DIM + dim[None, :], made, mask=mask)


@dataclass(frozen=True, slots=True)
class Past:
    """Where a language model's layer remembers, and which positions a pass adds."""

    layer: KvLayer
    metadata: AttentionMetadata
    may_split: bool = True


def attention(qkv: Tensor, heads: Heads, rotary: RotaryTable, past: Past | None) -> Tensor:
    """`[rows, tokens, queries + keys + values]` to `[rows, tokens, heads * head_dim]`; new keys are remembered."""
    if not uses_kernels(qkv):
        return attention_reference(qkv, heads, rotary, past)
    rows, tokens, _ = qkv.shape
    cosines, sines = rotary.first(_EVERY_POSITION)
    out = qkv.new_empty(rows, tokens, heads.queries * heads.dim)
    memory = (qkv, qkv, qkv, qkv) if past is None else _memory(past)
    parts = parts_for(rows, tokens, heads.keys) if past is not None and past.may_split else 1
    if parts > 1:
        split_kv_attention(qkv, memory, (cosines, sines), out, heads, parts)
        return out
    queries = tokens * heads.queries // heads.keys
    launch(
        _attention_kernel,
        (rows, heads.keys, blocks(queries, _BLOCK_QUERIES)),
        *(qkv, *memory, cosines, sines, out, tokens, 1 / math.sqrt(heads.dim)),
        HEADS=heads.queries,
        KV_HEADS=heads.keys,
        DIM=heads.dim,
        BLOCK_DIM=power_of_two(heads.dim),
        BLOCK_QUERIES=_BLOCK_QUERIES,
        BLOCK_KEYS=_BLOCK_KEYS if past else _BLOCK_SHORT,
        HAS_PAST=past is not None,
        num_warps=4 if past else 1,
        num_stages=2 if qkv.itemsize == 2 else 1,  # noqa: PLR2004 - bytes; float32 takes twice the shared memory
    )
    return out


def attention_reference(qkv: Tensor, heads: Heads, rotary: RotaryTable, past: Past | None) -> Tensor:
    """The same in plain PyTorch."""
    tokens = qkv.shape[1]
    angles = rotary.first(tokens) if past is None else rotary.at(past.metadata.positions)
    queries, keys, values = (part.unflatten(-1, (-1, heads.dim)) for part in qkv.split(heads.widths, dim=-1))
    queries, keys = rotate(queries, angles), rotate(keys, angles)
    if past is None:
        return grouped_attention(queries, keys, values)
    return attend_padded(past.layer, past.metadata, queries, keys, values)


def _memory(past: Past) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return past.layer.keys, past.layer.values, past.metadata.first, past.metadata.lengths
