"""MiniCPM4's decoder layers, for training on short sequences: plain matrix products, and no cache.

Knows: grouped-query attention with rotary positions, and that a last layer may compute some of its positions only.
Does not know: what a position stands for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON: Final = 1e-5
ROPE_BASE: Final = 10_000.0
_MASKED: Final = -1e4
ALL: Final = slice(None)


@dataclass(frozen=True, slots=True)
class StackSizes:
    """Widths and depth of one stack of layers."""

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    layers: int


class RmsNorm(nn.Module):
    """Root mean square normalisation."""

    def __init__(self, width: int) -> None:
        """Begin with a weight of 1."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width], the same shape comes out."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON) * self.weight


@functools.lru_cache(maxsize=8)
def rotary_tables(length: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of every position: twice [length, head_dim]."""
    frequencies = ROPE_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.arange(length)[:, None] * frequencies.repeat(2)
    return angles.cos(), angles.sin()


def rotated(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions: [batch, heads, length, head_dim]."""
    cosines, sines = tables
    first, second = x.chunk(2, -1)
    return x * cosines + torch.cat((-second, first), -1) * sines


@functools.lru_cache(maxsize=256)
def causal_mask(length: int) -> Tensor:
    """Return what is added to scores: 0 for the past and the present, a large negative number for the future."""
    return torch.full((length, length), _MASKED).triu(1)


class Attention(nn.Module):
    """Grouped-query attention by plain matrix products: faster than fused kernels for 5 to 200 positions on a CPU."""

    def __init__(self, sizes: StackSizes) -> None:
        """Make the projections; none has a bias."""
        super().__init__()
        self.kv_heads, self.head_dim = sizes.kv_heads, sizes.head_dim
        self.q_proj = nn.Linear(sizes.hidden, sizes.heads * sizes.head_dim, bias=False)
        self.k_proj = nn.Linear(sizes.hidden, sizes.kv_heads * sizes.head_dim, bias=False)
        self.v_proj = nn.Linear(sizes.hidden, sizes.kv_heads * sizes.head_dim, bias=False)
        self.o_proj = nn.Linear(sizes.heads * sizes.head_dim, sizes.hidden, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None, outputs: slice) -> tuple[Tensor, Tensor]:
        """[batch, length, hidden] -> [batch, outputs, hidden], and scores [batch, heads, outputs, length]."""
        batch, length, _ = x.shape
        tables = rotary_tables(length, self.head_dim)
        queries = rotated(self._heads(self.q_proj(x[:, outputs])), (tables[0][outputs], tables[1][outputs]))
        keys, values = rotated(self._heads(self.k_proj(x)), tables), self._heads(self.v_proj(x))
        rows = queries.shape[2]
        grouped = queries.reshape(batch * self.kv_heads, -1, self.head_dim) * self.head_dim**-0.5
        scores = (grouped @ keys.flatten(0, 1).transpose(1, 2)).view(batch, -1, rows, length)
        scores = scores if mask is None else scores + mask
        weights = scores.softmax(-1).view(batch * self.kv_heads, -1, length)
        attended = (weights @ values.flatten(0, 1)).view(batch, -1, rows, self.head_dim)
        return self.o_proj(attended.transpose(1, 2).reshape(batch, rows, -1)), scores

    def _heads(self, x: Tensor) -> Tensor:
        """[batch, length, heads x head_dim] -> [batch, heads, length, head_dim]."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, sizes: StackSizes) -> None:
        """Make the projections; none has a bias."""
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden, sizes.intermediate, bias=False)
        self.up_proj = nn.Linear(sizes.hidden, sizes.intermediate, bias=False)
        self.down_proj = nn.Linear(sizes.intermediate, sizes.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden], the same shape comes out."""
        y: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, sizes: StackSizes) -> None:
        """Make both."""
        super().__init__()
        self.self_attn = Attention(sizes)
        self.mlp = FeedForward(sizes)
        self.input_layernorm = RmsNorm(sizes.hidden)
        self.post_attention_layernorm = RmsNorm(sizes.hidden)

    def forward(self, x: Tensor, mask: Tensor | None, outputs: slice = ALL) -> tuple[Tensor, Tensor]:
        """[batch, length, hidden] -> [batch, outputs, hidden], and the attention's scores."""
        attended, scores = self.self_attn(self.input_layernorm(x), mask, outputs)
        x = x[:, outputs] + attended
        return x + self.mlp(self.post_attention_layernorm(x)), scores


class Stack(nn.Module):
    """Layers with a norm behind them, and token embeddings where there is a vocabulary."""

    def __init__(self, sizes: StackSizes, vocabulary: int = 0) -> None:
        """Make the layers."""
        super().__init__()
        if vocabulary:
            self.embed_tokens = nn.Embedding(vocabulary, sizes.hidden)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.norm = RmsNorm(sizes.hidden)

    def forward(self, x: Tensor, *, is_causal: bool, outputs: slice = ALL) -> tuple[Tensor, list[Tensor]]:
        """[batch, length, hidden] -> [batch, outputs, hidden], and each layer's scores of its first head."""
        mask = causal_mask(x.shape[1]) if is_causal else None
        first_heads = []
        for index, layer in enumerate(self.layers):
            is_last = index == len(self.layers) - 1
            x, scores = layer(x, mask, outputs if is_last else ALL)
            first_heads.append(scores[:, 0])
        return self.norm(x), first_heads
