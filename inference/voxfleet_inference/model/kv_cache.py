"""What a language model remembers: one arena of KV positions, in which every sequence has an extent of its own.

Knows positions and memory layout, and how new positions look back over their own sequence. Does not know who owns an
extent or how extents are handed out. The cost of looking back follows real lengths, never the room reserved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from voxfleet_inference.model.shapes import TransformerShape


class ExtentFullError(RuntimeError):
    """More positions were asked for than an extent has."""


@dataclass(slots=True)
class Extent:
    """A sequence's own part of the arena, as the host keeps track of it."""

    first: int
    positions: int
    length: int = 0  # positions filled so far

    def check_capacity(self, positions: int) -> None:
        """Make sure that so many more positions fit.

        Raises:
            ExtentFullError: they do not.
        """
        if self.length + positions > self.positions:
            raise ExtentFullError(
                f"the seat has {self.positions} KV positions, {self.length} are filled and {positions} more were asked"
                " for: reserve the prompt and all steps at admission"
            )


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """The positions that one forward pass fills: as many new ones for each of its rows.

    The tensors suffice for a kernel that reads each row's length on the device; the extents say the same to the host.
    """

    first: Tensor  # [rows] int64, where each row's extent begins
    lengths: Tensor  # [rows] int64, filled before this pass
    positions: Tensor  # [rows, tokens] int64, within each row's own sequence
    kv_indices: Tensor  # [rows * tokens] int64, the same within the arena
    extents: tuple[tuple[int, int], ...]  # first and length of each row, known to the host

    @classmethod
    def after(
        cls, first: Tensor, lengths: Tensor, tokens: int, extents: tuple[tuple[int, int], ...]
    ) -> AttentionMetadata:
        """The next `tokens` positions of every row."""
        positions = lengths[:, None] + torch.arange(tokens, device=lengths.device)  # [rows, tokens]
        return cls(first, lengths, positions, (first[:, None] + positions).flatten(), extents)

    @property
    def tokens(self) -> int:
        """New positions of each row."""
        return self.positions.shape[1]


@dataclass(frozen=True, slots=True)
class KvLayer:
    """One layer's part of an arena."""

    keys: Tensor  # [positions, kv_heads, head_dim]
    values: Tensor  # [positions, kv_heads, head_dim]

    def store(self, metadata: AttentionMetadata, keys: Tensor, values: Tensor) -> None:
        """Write `[rows, tokens, kv_heads, head_dim]` where the span says."""
        self.keys.index_copy_(0, metadata.kv_indices, keys.flatten(0, 1))
        self.values.index_copy_(0, metadata.kv_indices, values.flatten(0, 1))


Attend = Callable[[KvLayer, AttentionMetadata, Tensor, Tensor, Tensor], Tensor]


class KvCache:
    """Keys and values of all layers, `[layers, positions, kv_heads, head_dim]` each, and the way to read them."""

    def __init__(  # noqa: PLR0913 - an arena has that many properties
        self,
        shape: TransformerShape,
        positions: int,
        device: torch.device,
        dtype: torch.dtype,
        attend: Attend | None = None,
        *,
        may_split: bool = True,
    ) -> None:
        """`may_split`: a GPU may divide a row's looking back among programs, which adds in another order."""
        size = (shape.layers, positions, shape.kv_heads, shape.head_dim)
        self.keys, self.values = allocate(size, device, dtype), allocate(size, device, dtype)
        self.layers = [KvLayer(*pair) for pair in zip(self.keys, self.values, strict=True)]
        self.attend, self.may_split = attend or attend_rows, may_split


def allocate(size: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Memory to be filled before it is read. On a CPU it costs nothing until then; elsewhere it begins as zeros.

    Kernels over whole batches do read what nobody has filled, and mask it: there it must be finite.
    """
    return (torch.empty if device.type == "cpu" else torch.zeros)(size, device=device, dtype=dtype)


def attend_rows(layer: KvLayer, metadata: AttentionMetadata, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Remember the new positions and let each row look back over its own extent, one row after the other.

    `queries` are `[rows, tokens, heads, head_dim]`, `keys` and `values` `[rows, tokens, kv_heads, head_dim]`; returns
    `[rows, tokens, heads * head_dim]`. What a row computes depends on its own length only, and nothing is copied.
    """
    layer.store(metadata, keys, values)
    mixed = []
    for row, (first, length) in enumerate(metadata.extents):
        filled = slice(first, first + length + metadata.tokens)
        mask = _causal(length, metadata.tokens, queries.device)
        mixed.append(
            grouped_attention(queries[row : row + 1], layer.keys[None, filled], layer.values[None, filled], mask)
        )
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def attend_padded(layer: KvLayer, metadata: AttentionMetadata, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The same for all rows at once, over a copy as long as the longest of them."""
    layer.store(metadata, keys, values)
    longest = max(length for _, length in metadata.extents) + metadata.tokens
    everywhere = torch.arange(longest, device=queries.device)
    kv_indices = (metadata.first[:, None] + everywhere).clamp_(max=len(layer.keys) - 1)  # [rows, longest]
    mask = everywhere <= metadata.positions[..., None]  # [rows, tokens, longest]
    return grouped_attention(queries, layer.keys[kv_indices], layer.values[kv_indices], mask)


def grouped_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """`[rows, tokens, heads, head_dim]` queries over `[rows, seen, kv_heads, head_dim]` keys and values.

    The query heads that share a key head are handed over as further tokens, so that keys and values need no copies.
    `mask` is `[..., tokens, seen]`, True where a token may look. Returns `[rows, tokens, heads * head_dim]`.
    """
    rows, tokens, heads, head_dim = queries.shape
    groups = heads // keys.shape[2]
    shared = queries.view(rows, tokens, -1, groups, head_dim).permute(0, 2, 3, 1, 4)  # [rows, kv, groups, tokens, dim]
    wide = None if mask is None else mask.repeat(*(1,) * (mask.dim() - 2), groups, 1)  # [..., groups * tokens, seen]
    mixed = functional.scaled_dot_product_attention(
        shared.reshape(rows, -1, groups * tokens, head_dim),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=wide if wide is None or wide.dim() == 2 else wide[:, None],  # noqa: PLR2004 - one mask for all rows
    )  # [rows, kv_heads, groups * tokens, head_dim]
    apart = mixed.view(rows, -1, groups, tokens, head_dim).permute(0, 3, 1, 2, 4)  # [rows, tokens, kv, groups, dim]
    return apart.reshape(rows, tokens, heads * head_dim)


def _causal(length: int, tokens: int, device: torch.device) -> Tensor | None:
    """`[tokens, length + tokens]`: a lone token sees everything before it; of several none sees a later one."""
    if tokens == 1:
        return None
    return torch.ones(tokens, length + tokens, dtype=torch.bool, device=device).tril(length)
