"""A transformer whose layers take eight or five kernels, with the numbers of the plain one.

Where few rows decode, attention is split and takes one more.

Knows which weights can be one matrix, and by how many rows a pass has which kernels are worth it. Does not know what
the transformer is for. Takes a plain `Transformer` apart: queries, keys and values become one matrix, gates and ups
another, and what they were made of is freed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.cuda.kernels.attention import Past, attention
from voxfleet_inference.model.cuda.kernels.linears import linear_residual, norm_linear
from voxfleet_inference.model.cuda.kernels.norms import add_norm, swiglu
from voxfleet_inference.model.cuda.kernels.softmax import Heads
from voxfleet_inference.model.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.transformer import Layer, Transformer

ALIGNMENT_BYTES = 16
FIVE_KERNELS_UP_TO_ROWS = 64  # rows times tokens; with more, a library's matrix product wins over ours


class FusedLayer:
    """The weights of one layer, joined."""

    def __init__(self, layer: Layer) -> None:
        """Take them out of a plain layer, which is empty afterwards."""
        attention_part, feed_forward = layer.self_attn, layer.mlp
        self.index, self.scale, self.epsilon = attention_part.layer, layer.residual_scale, layer.input_layernorm.epsilon
        self.first_norm = _aligned(layer.input_layernorm.weight.data)
        self.second_norm = _aligned(layer.post_attention_layernorm.weight.data)
        dim = attention_part.head_dim
        self.qkv = _joined(attention_part.q_proj, attention_part.k_proj, attention_part.v_proj)
        self.output = _joined(attention_part.o_proj)  # [hidden, heads * head_dim]
        self.gate_up = _joined(feed_forward.gate_proj, feed_forward.up_proj)  # [2 ffn, hidden]
        self.down = _joined(feed_forward.down_proj)  # [hidden, ffn]
        queries = self.output.shape[1] // dim
        self.heads = Heads(queries, (self.qkv.shape[0] // dim - queries) // 2, dim)


class FusedTransformer(Transformer):
    """The same as `Transformer`, for one that was loaded."""

    def __init__(self, plain: Transformer, five_kernels_up_to: int = FIVE_KERNELS_UP_TO_ROWS) -> None:
        nn.Module.__init__(self)
        if hasattr(plain, "embed_tokens"):
            self.embed_tokens = plain.embed_tokens
        self.fused = [FusedLayer(layer) for layer in plain.layers]  # type: ignore[arg-type]  # a ModuleList of Layers
        self.norm, self.rotary, self._five_up_to = plain.norm, plain.rotary, five_kernels_up_to
        self.norm.weight.data = _aligned(self.norm.weight.data)

    def forward(self, x: Tensor, cache: KvCache | None = None, metadata: AttentionMetadata | None = None) -> Tensor:
        """`[rows, tokens, hidden]` to the same shape."""
        flat = x.flatten(0, 1).contiguous()  # [rows * tokens, hidden]
        run = self.in_five if len(flat) <= self._five_up_to else self.in_eight
        return run(flat, x.shape[1], cache, metadata).view(x.shape)

    def in_eight(self, x: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None) -> Tensor:
        """Matrices by cuBLAS; each norm takes the sum before it along."""
        delta = None
        for layer in self.fused:
            x, normed = add_norm(x, delta, layer.scale, layer.first_norm, layer.epsilon)
            mixed = self._attend(layer, functional.linear(normed, layer.qkv), tokens, cache, metadata)
            delta = functional.linear(mixed, layer.output)
            x, normed = add_norm(x, delta, layer.scale, layer.second_norm, layer.epsilon)
            delta = functional.linear(swiglu(functional.linear(normed, layer.gate_up)), layer.down)
        return add_norm(x, delta, self.fused[-1].scale, self.norm.weight, self.norm.epsilon)[1]

    def in_five(self, x: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None) -> Tensor:
        """Norms before, and sums after, their matrices in the same kernel."""
        for layer in self.fused:
            qkv = norm_linear(x, layer.first_norm, layer.epsilon, layer.qkv)
            mixed = self._attend(layer, qkv, tokens, cache, metadata)
            x = linear_residual(mixed, layer.output, x, layer.scale)
            gated = norm_linear(x, layer.second_norm, layer.epsilon, layer.gate_up, is_swiglu=True)
            x = linear_residual(gated, layer.down, x, layer.scale)
        return add_norm(x, None, 1.0, self.norm.weight, self.norm.epsilon)[1]

    def _attend(
        self, layer: FusedLayer, qkv: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        past = None if cache is None or metadata is None else Past(cache.layers[layer.index], metadata, cache.may_split)
        return attention(qkv.unflatten(0, (-1, tokens)), layer.heads, self.rotary, past).flatten(0, 1)


def _joined(*parts: Linear) -> Tensor:
    """The weights of linear layers one below the other; the layers let go of theirs."""
    weights = [part.weight.data for part in parts]
    whole = torch.cat(weights) if len(weights) > 1 else _aligned(weights[0])
    for part in parts:
        del part.weight
    return whole


def _aligned(weight: Tensor) -> Tensor:
    """Kernels are compiled for addresses that suit wide loads; a file may have put a weight elsewhere."""
    return weight.clone() if weight.data_ptr() % ALIGNMENT_BYTES else weight
