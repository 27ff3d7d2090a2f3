"""What attention kernels share: turning heads by their positions, and a softmax that takes keys block by block.

Knows where keys lie: in an arena, or side by side with this pass's queries. Does not know grids or who merges what.
None of these is started; kernels are made of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl


@dataclass(frozen=True, slots=True)
class Heads:
    """How a matrix of queries, keys and values is divided."""

    queries: int
    keys: int
    dim: int

    @property
    def widths(self) -> tuple[int, int, int]:
        """Of queries, keys and values side by side."""
        return self.queries * self.dim, self.keys * self.dim, self.keys * self.dim


@triton.jit
def rotated(at, table_row, cosines_at, sines_at, dim, mask, DIM: tl.constexpr):
    """Turn a block of heads by its rows' positions; the sines come with their signs."""
    turned = (dim + DIM // 2) % DIM
    x = tl.load(at[:, None] + dim[None, :], mask=mask, other=0.0)
    other = tl.load(at[:, None] + turned[None, :], mask=mask, other=0.0)
    table = table_row[:, None] * DIM + dim[None, :]
    cosine = tl.load(cosines_at + table, mask=mask, other=0.0).to(tl.float32)
    sine = tl.load(sines_at + table, mask=mask, other=0.0).to(tl.float32)
    return (x.to(tl.float32) * cosine + other.to(tl.float32) * sine).to(x.dtype)


@triton.jit
def update_softmax(query, keys, values, visible, best, weight, mixed, scale):
    """Take one more block of keys and values into the running softmax."""
    score = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
    score = tl.where(visible, score, -1e30)
    newest = tl.maximum(best, tl.max(score, axis=1))
    share = tl.where(visible, tl.exp(score - newest[:, None]), 0.0)
    fade = tl.exp(best - newest)
    mixed = mixed * fade[:, None] + tl.dot(share.to(values.dtype), values, input_precision="ieee")
    return newest, weight * fade + tl.sum(share, axis=1), mixed


@triton.jit
def attend_cached(
    turned, best, weight, mixed, keys_at, values_at, slot, length, kv_head, part, parts, scale,
    KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK_KEYS: tl.constexpr,
):  # fmt: skip
    """Every `parts`-th block of what a row remembers, from the `part`-th on."""
    dim = tl.arange(0, BLOCK_DIM)
    for start in range(part * BLOCK_KEYS, length, parts * BLOCK_KEYS):
        key = start + tl.arange(0, BLOCK_KEYS)
        there = (key < length)[:, None] & (dim < DIM)[None, :]
        at = ((slot + key) * KV_HEADS + kv_head)[:, None] * DIM + dim[None, :]
        keys = tl.load(keys_at + at, mask=there, other=0.0)
        values = tl.load(values_at + at, mask=there, other=0.0)
        best, weight, mixed = update_softmax(turned, keys, values, (key < length)[None, :], best, weight, mixed, scale)
    return best, weight, mixed


@triton.jit
def attend_new(
    turned, best, weight, mixed, qkv_at, keys_at, values_at, cosines_at, sines_at, row, token, tokens, slot, length,
    kv_head, is_mine, scale, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_KEYS: tl.constexpr, HAS_PAST: tl.constexpr,
):  # fmt: skip
    """The tokens of this pass; whose they are stores them."""
    width: tl.constexpr = (HEADS + 2 * KV_HEADS) * DIM
    dim = tl.arange(0, BLOCK_DIM)
    for start in range(0, tokens, BLOCK_KEYS):
        key = start + tl.arange(0, BLOCK_KEYS)
        there = (key < tokens)[:, None] & (dim < DIM)[None, :]
        key_at = qkv_at + (row * tokens + key) * width + (HEADS + kv_head) * DIM
        keys = rotated(key_at, length + key, cosines_at, sines_at, dim, there, DIM)
        values = tl.load((key_at + KV_HEADS * DIM)[:, None] + dim[None, :], mask=there, other=0.0)
        visible = (key < tokens)[None, :]
        if HAS_PAST:
            visible = visible & (key[None, :] <= token[:, None])
            at = ((slot + length + key) * KV_HEADS + kv_head)[:, None] * DIM + dim[None, :]
            tl.store(keys_at + at, keys, mask=there & is_mine)
            tl.store(values_at + at, values, mask=there & is_mine)
        best, weight, mixed = update_softmax(turned, keys, values, visible, best, weight, mixed, scale)
    return best, weight, mixed
