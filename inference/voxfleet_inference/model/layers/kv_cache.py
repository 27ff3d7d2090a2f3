"""The KV cache of a language model: one arena of positions, in which every sequence has a contiguous extent.

Knows: positions, memory layout, and how new positions attend to their own sequence. Does not know: which sequence owns
an extent, or how extents are allocated. The cost of attention follows the filled length, not the reserved one.
docs/decisions/0006 says why extents and not the pages of PagedAttention (arXiv:2309.06180).
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
    """A pass needs more positions than an extent has left."""


@dataclass(slots=True)
class Extent:
    """The part of the arena that belongs to one sequence, on the host."""

    first: int
    positions: int  # reserved
    length: int = 0  # filled so far

    def check_capacity(self, positions: int) -> None:
        """Check that `positions` more positions fit.

        Raises:
            ExtentFullError: they do not.
        """
        if self.length + positions > self.positions:
            raise ExtentFullError(
                f"the slot has {self.positions} KV positions, {self.length} are filled and {positions} more are needed:"
                " reserve the prompt and all steps at admission"
            )


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """The positions that one forward pass fills, the same number of new ones for each of its rows.

    A kernel that reads each row's length on the device needs the tensors alone; `extents` is the host's copy.
    """

    first: Tensor  # [rows] int64, where each row's extent begins
    lengths: Tensor  # [rows] int64, filled before this pass
    positions: Tensor  # [rows, tokens] int64, within each row's own sequence
    kv_indices: Tensor  # [rows * tokens] int64, the same positions within the arena
    extents: tuple[tuple[int, int], ...]  # first and length of each row

    @classmethod
    def after(
        cls, first: Tensor, lengths: Tensor, tokens: int, extents: tuple[tuple[int, int], ...]
    ) -> AttentionMetadata:
        """Return the metadata of a pass that appends `tokens` positions to every row."""
        positions = lengths[:, None] + torch.arange(tokens, device=lengths.device)  # [rows, tokens]
        return cls(first, lengths, positions, (first[:, None] + positions).flatten(), extents)

    @property
    def tokens(self) -> int:
        """The number of new positions per row."""
        return self.positions.shape[1]


@dataclass(frozen=True, slots=True)
class KvLayer:
    """The keys and values of one layer."""

    keys: Tensor  # [positions, kv_heads, head_dim]
    values: Tensor  # [positions, kv_heads, head_dim]

    def store(self, metadata: AttentionMetadata, keys: Tensor, values: Tensor) -> None:
        """Write new keys and values `[rows, tokens, kv_heads, head_dim]` to their positions."""
        self.keys.index_copy_(0, metadata.kv_indices, keys.flatten(0, 1))
        self.values.index_copy_(0, metadata.kv_indices, values.flatten(0, 1))


Attend = Callable[[KvLayer, AttentionMetadata, Tensor, Tensor, Tensor], Tensor]  # as `attend_rows`


class KvCache:
    """Keys and values of all layers, `[layers, positions, kv_heads, head_dim]` each, and the attention over them."""

    def __init__(  # noqa: PLR0913 - a cache has that many properties
        self,
        shape: TransformerShape,
        positions: int,
        device: torch.device,
        dtype: torch.dtype,
        attend: Attend | None = None,
        *,
        may_split_kv: bool = True,
    ) -> None:
        """Allocate the cache; `may_split_kv` allows split-KV attention, whose order of sums varies with the batch."""
        size = (shape.layers, positions, shape.kv_heads, shape.head_dim)
        self.keys, self.values = allocate(size, device, dtype), allocate(size, device, dtype)
        self.layers = [KvLayer(*pair) for pair in zip(self.keys, self.values, strict=True)]
        self.attend, self.may_split_kv = attend or attend_rows, may_split_kv


def allocate(size: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Allocate memory that is written before it is used: uninitialized on a CPU, zeros on other devices.

    An uninitialized page of a CPU takes no memory until it is written. Kernels over a padded batch do read positions
    that no sequence has written, and mask them by a factor of zero, so there the values must be finite.
    """
    return (torch.empty if device.type == "cpu" else torch.zeros)(size, device=device, dtype=dtype)


def attend_rows(layer: KvLayer, metadata: AttentionMetadata, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Store the new positions and attend over each row's own extent, one row after the other.

    `queries` are `[rows, tokens, heads, head_dim]`, `keys` and `values` `[rows, tokens, kv_heads, head_dim]`; returns
    `[rows, tokens, heads * head_dim]`. A row's result depends on its own length only, and its keys are a view.
    """
    layer.store(metadata, keys, values)
    outputs = []
    for row, (first, length) in enumerate(metadata.extents):
        filled = slice(first, first + length + metadata.tokens)
        mask = _causal_mask(length, metadata.tokens, queries.device)
        outputs.append(
            grouped_attention(queries[row : row + 1], layer.keys[None, filled], layer.values[None, filled], mask)
        )
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def attend_padded(layer: KvLayer, metadata: AttentionMetadata, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """As `attend_rows`, for all rows at once, over a gathered copy padded to the longest row."""
    layer.store(metadata, keys, values)
    longest = max(length for _, length in metadata.extents) + metadata.tokens
    offsets = torch.arange(longest, device=queries.device)
    kv_indices = (metadata.first[:, None] + offsets).clamp_(max=len(layer.keys) - 1)  # [rows, longest]
    mask = offsets <= metadata.positions[..., None]  # [rows, tokens, longest], causal
    return grouped_attention(queries, layer.keys[kv_indices], layer.values[kv_indices], mask)


def grouped_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Grouped-query attention (arXiv:2305.13245) of `[rows, tokens, heads, head_dim]` queries.

    `keys` and `values` are `[rows, length, kv_heads, head_dim]`, `mask` is `[..., tokens, length]`, True where a token
    attends. Returns `[rows, tokens, heads * head_dim]`. The query heads that share a key head are passed to PyTorch as
    further tokens, so that keys and values are not copied for each of them.
    """
    rows, tokens, heads, head_dim = queries.shape
    groups = heads // keys.shape[2]
    shared = queries.view(rows, tokens, -1, groups, head_dim).permute(0, 2, 3, 1, 4)  # [rows, kv, groups, tokens, dim]
    wide = None if mask is None else mask.repeat(*(1,) * (mask.dim() - 2), groups, 1)  # [..., groups * tokens, length]
    attended = functional.scaled_dot_product_attention(
        shared.reshape(rows, -1, groups * tokens, head_dim),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=wide if wide is None or wide.dim() == 2 else wide[:, None],  # noqa: PLR2004 - one mask for all rows
    )  # [rows, kv_heads, groups * tokens, head_dim]
    apart = attended.view(rows, -1, groups, tokens, head_dim).permute(0, 3, 1, 2, 4)  # [rows, tokens, kv, groups, dim]
    return apart.reshape(rows, tokens, heads * head_dim)


def _causal_mask(length: int, tokens: int, device: torch.device) -> Tensor | None:
    """Return the causal mask `[tokens, length + tokens]`; a single token attends to every position and needs none."""
    if tokens == 1:
        return None
    return torch.ones(tokens, length + tokens, dtype=torch.bool, device=device).tril(length)
