"""The keys and values that a language model remembers, for a batch of rows of different lengths.

Knows positions and memory layout. Does not know what a layer computes or which sequence sits in which row. Every row
has room for `capacity` positions; attention reads only as far as the longest row really is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxfleet_inference.model.config import TransformerShape


class KvCacheFullError(RuntimeError):
    """More positions were asked for than a row has room for."""


@dataclass(frozen=True, slots=True)
class Span:
    """The positions that one forward pass fills, and how far it may look back."""

    positions: Tensor  # [rows, tokens]
    attended: int  # positions that any row can see
    mask: Tensor | None  # [rows, 1, tokens, attended], True where a token may look; None: everywhere


class KvCache:
    """Keys and values of all layers: `[layers, rows, capacity, kv_heads, head_dim]`."""

    def __init__(
        self, shape: TransformerShape, rows: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        size = (shape.layers, rows, capacity, shape.kv_heads, shape.head_dim)
        self.keys = torch.zeros(size, device=device, dtype=dtype)
        self.values = torch.zeros(size, device=device, dtype=dtype)
        self.lengths = torch.zeros(rows, device=device, dtype=torch.int64)  # [rows]
        self.longest = 0  # what the host knows without asking the device
        self._row_index = torch.arange(rows, device=device)[:, None]  # [rows, 1]

    @property
    def rows(self) -> int:
        """Rows that this cache serves."""
        return self.keys.shape[1]

    @property
    def capacity(self) -> int:
        """Positions that a row has room for."""
        return self.keys.shape[2]

    def claim(self, tokens: int) -> Span:
        """Take the next `tokens` positions of every row."""
        if self.longest + tokens > self.capacity:
            raise KvCacheFullError(
                f"the KV cache holds {self.capacity} positions, {self.longest} are filled and {tokens} more were asked"
                " for: reserve the prompt and all steps at prefill"
            )
        positions = self.lengths[:, None] + torch.arange(tokens, device=self.lengths.device)  # [rows, tokens]
        self.lengths += tokens
        self.longest += tokens
        return Span(positions, self.longest, self._mask(positions))

    def store(self, layer: int, span: Span, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Remember `[rows, tokens, kv_heads, head_dim]` and return all `[rows, attended, kv_heads, head_dim]`."""
        self.keys[layer][self._row_index, span.positions] = keys
        self.values[layer][self._row_index, span.positions] = values
        return self.keys[layer][:, : span.attended], self.values[layer][:, : span.attended]

    def _mask(self, positions: Tensor) -> Tensor | None:
        """A lone row's newest token sees everything; whoever else must not see later or unfilled positions."""
        if self.rows == 1 and positions.shape[1] == 1:
            return None
        everywhere = torch.arange(self.longest, device=positions.device)
        return (everywhere <= positions[..., None])[:, None]  # [rows, 1, tokens, attended]
