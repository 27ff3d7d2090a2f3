"""The MiniCPM4 transformer (arXiv:2506.07900) that all four parts of VoxCPM share.

Pre-norm layers of RMSNorm (arXiv:1910.07467), rotary position embedding (arXiv:2104.09864) with LongRoPE's factors,
grouped-query attention (arXiv:2305.13245) and SwiGLU (arXiv:2002.05202).

Knows: tensors `[rows, tokens, hidden]`. Does not know: text, patches or steps. Attribute names are those of the
published checkpoints, so that weights load by name. bfloat16 rounds where the reference rounds: rotary tables are
rounded but multiplied in float32; a norm computes in float32 and rounds before its weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache, grouped_attention
from voxfleet_inference.model.layers.linear import Embedding, Linear

if TYPE_CHECKING:
    from voxfleet_inference.model.shapes import RotaryShape, TransformerShape


class RmsNorm(nn.Module):
    """Root-mean-square normalization over the last dimension."""

    def __init__(self, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `[..., hidden]`."""
        mean_square = x.float().square().mean(dim=-1, keepdim=True)  # [..., 1] float32
        return (x * torch.rsqrt(mean_square + self.epsilon)).to(x.dtype) * self.weight


class RotaryTable:
    """Cosines and signed sines of every position that a sequence can reach: `[positions, head_dim]` each."""

    def __init__(self, shape: RotaryShape, positions: int, device: torch.device, dtype: torch.dtype) -> None:
        even = torch.arange(0, shape.head_dim, 2, device=device, dtype=torch.float32)
        frequencies = 1.0 / (shape.theta ** (even / shape.head_dim))  # [head_dim / 2]
        factors = torch.tensor(shape.factors, device=device, dtype=torch.float32)
        index = torch.arange(positions, device=device, dtype=torch.float32)
        angles = torch.outer(index, 1.0 / factors) * frequencies  # [positions, head_dim / 2]
        angles = torch.cat((angles, angles), dim=-1)
        self._cosines = (angles.cos() * shape.amplitude).to(dtype)
        sines = (angles.sin() * shape.amplitude).to(dtype)
        sines[:, : shape.head_dim // 2] *= -1  # the sign of "rotate half", so that `rotate` only adds
        self._sines = sines

    def first(self, tokens: int) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of positions 0 to `tokens - 1`, each `[tokens, 1, head_dim]`."""
        return self._cosines[:tokens, None], self._sines[:tokens, None]

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of `[rows, tokens]` positions, each `[rows, tokens, 1, head_dim]`."""
        return self._cosines[positions][..., None, :], self._sines[positions][..., None, :]


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate `[rows, tokens, heads, head_dim]` by the angles of its positions, in float32."""
    cosines, sines = angles
    wide = x.float()
    swapped = wide.roll(x.shape[-1] // 2, dims=-1)  # the halves of each head exchanged
    return (wide * cosines + swapped * sines).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention: `heads / kv_heads` query heads share a key and value head."""

    def __init__(self, shape: TransformerShape, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, shape.head_dim
        self.q_proj = Linear(shape.hidden, shape.heads * shape.head_dim, bias=False)
        self.k_proj = Linear(shape.hidden, shape.kv_heads * shape.head_dim, bias=False)
        self.v_proj = Linear(shape.hidden, shape.kv_heads * shape.head_dim, bias=False)
        self.o_proj = Linear(shape.heads * shape.head_dim, shape.hidden, bias=False)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        """Map `[rows, tokens, hidden]` to the same shape: causal with a cache, bidirectional without one."""
        queries = rotate(self._heads(self.q_proj(x)), angles)  # [rows, tokens, heads, head_dim]
        keys = rotate(self._heads(self.k_proj(x)), angles)  # [rows, tokens, kv_heads, head_dim]
        values = self._heads(self.v_proj(x))  # [rows, tokens, kv_heads, head_dim]
        if cache is None or metadata is None:
            return self.o_proj(grouped_attention(queries, keys, values))  # type: ignore[no-any-return]
        return self.o_proj(cache.attend(cache.layers[self.layer], metadata, queries, keys, values))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], x.shape[-1] // self.head_dim, self.head_dim)


class FeedForward(nn.Module):
    """The SwiGLU feed-forward block."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.hidden, shape.ffn, bias=False)
        self.up_proj = Linear(shape.hidden, shape.ffn, bias=False)
        self.down_proj = Linear(shape.ffn, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., hidden]` to the same shape."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention and feed-forward, each with a norm before and a residual connection around it."""

    def __init__(self, shape: TransformerShape, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(shape.hidden, shape.norm_epsilon)
        self.self_attn = Attention(shape, layer)
        self.post_attention_layernorm = RmsNorm(shape.hidden, shape.norm_epsilon)
        self.mlp = FeedForward(shape)
        self.residual_scale = shape.residual_scale

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        """Map `[rows, tokens, hidden]` to the same shape."""
        x = x + self._scaled(self.self_attn(self.input_layernorm(x), angles, cache, metadata))
        return x + self._scaled(self.mlp(self.post_attention_layernorm(x)))

    def _scaled(self, x: Tensor) -> Tensor:
        return x if self.residual_scale == 1.0 else x * self.residual_scale


class Transformer(nn.Module):
    """A stack of layers and a final norm.

    With a cache attention is causal and the metadata give the positions; without one it is bidirectional.
    """

    def __init__(self, shape: TransformerShape, rotary: RotaryTable) -> None:
        super().__init__()
        if shape.vocabulary:
            self.embed_tokens = Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(shape.layers))
        self.norm = RmsNorm(shape.hidden, shape.norm_epsilon)
        self.rotary = rotary

    def forward(self, x: Tensor, cache: KvCache | None = None, metadata: AttentionMetadata | None = None) -> Tensor:
        """Map `[rows, tokens, hidden]` to the same shape."""
        angles = self.rotary.first(x.shape[1]) if metadata is None else self.rotary.at(metadata.positions)
        for layer in self.layers:
            x = layer(x, angles, cache, metadata)
        return self.norm(x)  # type: ignore[no-any-return]
