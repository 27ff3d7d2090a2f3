"""Device functions that the attention kernels share: rotary embedding, and the online softmax over blocks of keys.

The softmax is that of FlashAttention (arXiv:2205.14135, after Milakov and Gimelshein, arXiv:1805.02867): keys are taken
block by block; each query keeps its running maximum, the sum of exponentials and the weighted sum of values, and a new
maximum rescales both sums.

Knows: where keys are, in the KV cache or next to this pass's queries. Does not know: grids, or how splits are merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl


@dataclass(frozen=True, slots=True)
class Heads:
    """The number of query and key heads in a matrix of queries, keys and values, and their dimension."""

    queries: int
    keys: int
    dim: int

    @property
    def widths(self) -> tuple[int, int, int]:
        """The widths of queries, keys and values in a row of the matrix."""
        return self.queries * self.dim, self.keys * self.dim, self.keys * self.dim


@triton.jit
def load_rotated(ptr, position, cosines_ptr, sines_ptr, dim, mask, DIM: tl.constexpr):
    """Load a block of heads, `[BLOCK, BLOCK_DIM]`, and rotate each by its position; the sines are signed."""
    paired = (dim + DIM // 2) % DIM  # the dimension in the other half that each is rotated with
    x = tl.load(ptr[:, None] + dim[None, :], mask=mask, other=0.0)
    other = tl.load(ptr[:, None] + paired[None, :], mask=mask, other=0.0)
    table = position[:, None] * DIM + dim[None, :]
    cosine = tl.load(cosines_ptr + table, mask=mask, other=0.0).to(tl.float32)
    sine = tl.load(sines_ptr + table, mask=mask, other=0.0).to(tl.float32)
    return (x.to(tl.float32) * cosine + other.to(tl.float32) * sine).to(x.dtype)


@triton.jit
def update_softmax(query, keys, values, visible, row_max, row_sum, acc, scale):
    """Add a block of keys and values, `[BLOCK_KEYS, BLOCK_DIM]`, to the running softmax of BLOCK_QUERIES queries."""
    score = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale  # [BLOCK_QUERIES, BLOCK_KEYS]
    score = tl.where(visible, score, -1e30)  # finite: the difference of two infinities would be NaN
    new_max = tl.maximum(row_max, tl.max(score, axis=1))
    probability = tl.where(visible, tl.exp(score - new_max[:, None]), 0.0)
    rescale = tl.exp(row_max - new_max)
    acc = acc * rescale[:, None] + tl.dot(probability.to(values.dtype), values, input_precision="ieee")
    return new_max, row_sum * rescale + tl.sum(probability, axis=1), acc


@triton.jit
def attend_cached(
    query, row_max, row_sum, acc, keys_ptr, values_ptr, first, length, kv_head, split, splits, scale,
    KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK_KEYS: tl.constexpr,
):  # fmt: skip
    """Attend over every `splits`-th block of a row's cached positions, beginning with block `split`."""
    dim = tl.arange(0, BLOCK_DIM)
    for start in range(split * BLOCK_KEYS, length, splits * BLOCK_KEYS):
        key = start + tl.arange(0, BLOCK_KEYS)
        mask = (key < length)[:, None] & (dim < DIM)[None, :]
        offset = ((first + key) * KV_HEADS + kv_head)[:, None] * DIM + dim[None, :]
        keys = tl.load(keys_ptr + offset, mask=mask, other=0.0)
        values = tl.load(values_ptr + offset, mask=mask, other=0.0)
        visible = (key < length)[None, :]
        row_max, row_sum, acc = update_softmax(query, keys, values, visible, row_max, row_sum, acc, scale)
    return row_max, row_sum, acc


@triton.jit
def attend_new(
    query, row_max, row_sum, acc, qkv_ptr, keys_ptr, values_ptr, cosines_ptr, sines_ptr, row, token, tokens, first,
    length, kv_head, is_owner, scale, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr, BLOCK_KEYS: tl.constexpr, HAS_CACHE: tl.constexpr,
):  # fmt: skip
    """Attend over this pass's tokens; the owning program writes their keys and values to the cache."""
    width: tl.constexpr = (HEADS + 2 * KV_HEADS) * DIM
    dim = tl.arange(0, BLOCK_DIM)
    for start in range(0, tokens, BLOCK_KEYS):
        key = start + tl.arange(0, BLOCK_KEYS)
        mask = (key < tokens)[:, None] & (dim < DIM)[None, :]
        key_ptr = qkv_ptr + (row * tokens + key) * width + (HEADS + kv_head) * DIM
        keys = load_rotated(key_ptr, length + key, cosines_ptr, sines_ptr, dim, mask, DIM)
        values = tl.load((key_ptr + KV_HEADS * DIM)[:, None] + dim[None, :], mask=mask, other=0.0)
        visible = (key < tokens)[None, :]
        if HAS_CACHE:
            visible = visible & (key[None, :] <= token[:, None])  # causal
            offset = ((first + length + key) * KV_HEADS + kv_head)[:, None] * DIM + dim[None, :]
            tl.store(keys_ptr + offset, keys, mask=mask & is_owner)
            tl.store(values_ptr + offset, values, mask=mask & is_owner)
        row_max, row_sum, acc = update_softmax(query, keys, values, visible, row_max, row_sum, acc, scale)
    return row_max, row_sum, acc
