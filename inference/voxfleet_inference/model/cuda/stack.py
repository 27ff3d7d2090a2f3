"""A transformer whose layers are eight or five kernels each (one more where split-KV attention is used).

Knows: which weights can be one matrix, and for which batch sizes which kernels are faster. Does not know: what the
transformer is for. The weights are taken from a plain `Transformer` and freed there: queries, keys and values become
one matrix, gates and ups another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.cuda.kernels.attention import KvContext, attention
from voxfleet_inference.model.cuda.kernels.linears import linear_residual, norm_linear
from voxfleet_inference.model.cuda.kernels.norms import add_norm, swiglu
from voxfleet_inference.model.cuda.kernels.softmax import Heads
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import Layer, Transformer

ALIGNMENT_BYTES = 16  # the widest load of a thread; Triton compiles other kernels for unaligned addresses
FUSED_MAX_ROWS = 64  # rows times tokens; cuBLAS is faster with more


class FusedLayer:
    """The concatenated weights of one layer."""

    def __init__(self, layer: Layer) -> None:
        """Move the weights out of a plain layer, which is unusable afterwards."""
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
    """A drop-in replacement of a loaded `Transformer`."""

    def __init__(self, plain: Transformer, fused_max_rows: int = FUSED_MAX_ROWS) -> None:
        """Move the weights out of a plain transformer, which is unusable afterwards."""
        nn.Module.__init__(self)
        if hasattr(plain, "embed_tokens"):
            self.embed_tokens = plain.embed_tokens
        self.fused = [FusedLayer(layer) for layer in plain.layers]  # type: ignore[arg-type]  # a ModuleList of Layers
        self.norm, self.rotary, self._fused_max_rows = plain.norm, plain.rotary, fused_max_rows
        self.norm.weight.data = _aligned(self.norm.weight.data)

    def forward(self, x: Tensor, cache: KvCache | None = None, metadata: AttentionMetadata | None = None) -> Tensor:
        """Map `[rows, tokens, hidden]` to the same shape: causal with a cache, bidirectional without one."""
        flat = x.flatten(0, 1).contiguous()  # [rows * tokens, hidden]
        run = self.forward_fused if len(flat) <= self._fused_max_rows else self.forward_cublas
        return run(flat, x.shape[1], cache, metadata).view(x.shape)

    def forward_cublas(
        self, x: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        """Run eight kernels per layer: matrix products by cuBLAS, each residual sum fused with the norm after it.

        `x` is `[rows * tokens, hidden]`.
        """
        delta = None  # [rows * tokens, hidden], not yet added to x
        for layer in self.fused:
            x, normed = add_norm(x, delta, layer.scale, layer.first_norm, layer.epsilon)
            attended = self._attend(layer, functional.linear(normed, layer.qkv), tokens, cache, metadata)
            delta = functional.linear(attended, layer.output)
            x, normed = add_norm(x, delta, layer.scale, layer.second_norm, layer.epsilon)
            delta = functional.linear(swiglu(functional.linear(normed, layer.gate_up)), layer.down)
        return add_norm(x, delta, self.fused[-1].scale, self.norm.weight, self.norm.epsilon)[1]

    def forward_fused(
        self, x: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        """Run five kernels per layer: each matrix product fused with the norm before it or the residual sum after it.

        `x` is `[rows * tokens, hidden]`.
        """
        for layer in self.fused:
            qkv = norm_linear(x, layer.first_norm, layer.epsilon, layer.qkv)
            attended = self._attend(layer, qkv, tokens, cache, metadata)
            x = linear_residual(attended, layer.output, x, layer.scale)
            gated = norm_linear(x, layer.second_norm, layer.epsilon, layer.gate_up, is_swiglu=True)
            x = linear_residual(gated, layer.down, x, layer.scale)
        return add_norm(x, None, 1.0, self.norm.weight, self.norm.epsilon)[1]

    def _attend(
        self, layer: FusedLayer, qkv: Tensor, tokens: int, cache: KvCache | None, metadata: AttentionMetadata | None
    ) -> Tensor:
        context = None
        if cache is not None and metadata is not None:
            context = KvContext(cache.layers[layer.index], metadata, cache.may_split_kv)
        return attention(qkv.unflatten(0, (-1, tokens)), layer.heads, self.rotary, context).flatten(0, 1)


def _joined(*parts: Linear) -> Tensor:
    """Concatenate the weights of linear layers along their outputs, and free them there."""
    weights = [part.weight.data for part in parts]
    whole = torch.cat(weights) if len(weights) > 1 else _aligned(weights[0])
    for part in parts:
        del part.weight
    return whole


def _aligned(weight: Tensor) -> Tensor:
    """Copy a weight whose address is not aligned, as in a mapped file: the kernels are compiled for wide loads."""
    return weight.clone() if weight.data_ptr() % ALIGNMENT_BYTES else weight
