"""A transformer, a pass of which is one call into C: its matrices are bytes or bfloat16.

Knows how weights lie for `kernels/stack.h`, whose structures it mirrors, and what a pass hands over. Does not know what
the transformer is for. Takes a plain `Transformer` apart; the plain weights are freed.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxfleet_inference.model.cpu.compile import COLUMNS, kernels
from voxfleet_inference.model.cpu.matrices import Int8Matrix
from voxfleet_inference.model.cpu.memory import LargePages
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.transformer import Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.kv_cache import AttentionMetadata, KvCache
    from voxfleet_inference.model.transformer import Layer

OFFSET = 128  # kernels multiply signed activations with unsigned weights
GROUPS = {torch.int8: 4, torch.bfloat16: 2}  # inputs that one instruction takes
EVERY_POSITION = 2**40


class _Matrix(Structure):
    _fields_ = (("panels", c_void_p), ("scales", c_void_p), ("inputs", c_int64), ("outputs", c_int64))


class _Layer(Structure):
    _fields_ = (
        *((name, _Matrix) for name in ("qkv", "output", "gate_up", "down")),
        *((name, c_void_p) for name in ("first_norm", "second_norm")),
    )


class _Stack(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("layers", "norm", "cosines", "sines")),
        *((name, c_int64) for name in ("layer_count", "hidden", "ffn", "heads", "kv_heads", "head_dim")),
        *((name, c_float) for name in ("epsilon", "residual_scale")),
    )


class _Pass(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("x", "keys", "values", "first", "filled", "scratch")),
        *((name, c_int64) for name in ("room", "rows", "tokens", "threads")),
    )


class FusedTransformer(Transformer):
    """The same as `Transformer`, for one that was loaded in bfloat16, or with matrices of bytes in float32."""

    def __init__(self, plain: Transformer) -> None:
        """Take the weights out of a plain transformer, which is empty afterwards.

        Raises:
            NoKernelsError: there are none for this machine.
            UnsupportedFormatError: its sizes are not made for them; `fits` tells beforehand.
        """
        nn.Module.__init__(self)
        if hasattr(plain, "embed_tokens"):
            self.embed_tokens = plain.embed_tokens
        self.norm, self.rotary = plain.norm, plain.rotary
        layers: list[Layer] = list(plain.layers)  # type: ignore[arg-type]  # a ModuleList of Layers
        self._dtype = weights_of(layers[0].self_attn.q_proj).dtype
        library, name = kernels(), str(self._dtype).removeprefix("torch.")
        self._run, self._scratch_bytes = library[f"run_stack_{name}"], library[f"scratch_bytes_{name}"]
        self._scratch_bytes.restype = c_int64
        self._kept: list[Tensor] = []  # what the structures below point to
        self._stack = self._described(layers[0])
        self._pages = LargePages(sum(weights_of(part).nbytes for part in matrices_of(plain)))
        self._layers = (_Layer * len(layers))(*(self._taken(layer) for layer in layers))
        self._stack.layers, self._stack.layer_count = ctypes.addressof(self._layers), len(layers)

    def forward(self, x: Tensor, cache: KvCache | None = None, metadata: AttentionMetadata | None = None) -> Tensor:
        """`[rows, tokens, hidden]` to the same shape."""
        made = x.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        given = _Pass(x=made.data_ptr(), rows=x.shape[0], tokens=x.shape[1], threads=torch.get_num_threads())
        if cache is not None and metadata is not None:
            given.keys, given.values, given.room = cache.keys.data_ptr(), cache.values.data_ptr(), cache.keys.shape[1]
            given.first, given.filled = metadata.first.data_ptr(), metadata.lengths.data_ptr()
        stack, asked = ctypes.byref(self._stack), ctypes.byref(given)
        scratch = torch.empty(self._scratch_bytes(stack, asked), dtype=torch.uint8)
        given.scratch = scratch.data_ptr()
        self._run(stack, asked)
        return made.to(x.dtype)

    def _described(self, layer: Layer) -> _Stack:
        """Everything but the layers."""
        attention, dim = layer.self_attn, layer.self_attn.head_dim
        cosines, sines = self.rotary.first(EVERY_POSITION)
        return _Stack(
            norm=self._address(self.norm.weight),
            cosines=self._address(cosines),
            sines=self._address(sines),
            hidden=len(weights_of(attention.o_proj)),
            ffn=len(weights_of(layer.mlp.gate_proj)),
            heads=len(weights_of(attention.q_proj)) // dim,
            kv_heads=len(weights_of(attention.k_proj)) // dim,
            head_dim=dim,
            epsilon=self.norm.epsilon,
            residual_scale=layer.residual_scale,
        )

    def _taken(self, layer: Layer) -> _Layer:
        """A layer's weights as the kernels like them; the layer lets go of its own."""
        attention, feed_forward = layer.self_attn, layer.mlp
        taken = _Layer(
            qkv=self._matrix(attention.q_proj, attention.k_proj, attention.v_proj),
            output=self._matrix(attention.o_proj),
            gate_up=self._matrix(feed_forward.gate_proj, feed_forward.up_proj, take_turns=True),
            down=self._matrix(feed_forward.down_proj),
            first_norm=self._address(layer.input_layernorm.weight),
            second_norm=self._address(layer.post_attention_layernorm.weight),
        )
        del layer.self_attn, layer.mlp
        return taken

    def _matrix(self, *parts: Linear, take_turns: bool = False) -> _Matrix:
        """One below the other, or panel by panel in turns."""

        def joined(pieces: list[Tensor]) -> Tensor:
            return torch.stack(pieces, dim=1).flatten(0, 1) if take_turns else torch.cat(pieces)

        weights = [weights_of(part) for part in parts]
        described = _Matrix(inputs=weights[0].shape[1], outputs=sum(map(len, weights)))
        described.panels = self._pages.keep(joined([panels(each) for each in weights])).data_ptr()
        scales = [part.packed.scales.view(-1, COLUMNS) for part in parts if isinstance(part.packed, Int8Matrix)]
        if scales:
            described.scales = self._address(joined(scales))
        return described

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(tensor.detach().float().contiguous())
        return self._kept[-1].data_ptr()


def panels(weights: Tensor) -> Tensor:
    """`[outputs, inputs]` to `[panels, inputs / group, COLUMNS, group]`; signed bytes become unsigned ones."""
    outputs, inputs = weights.shape
    group = GROUPS[weights.dtype]
    if outputs % COLUMNS or inputs % group:
        raise UnsupportedFormatError(
            f"int8 on a CPU takes matrices of whole panels, {COLUMNS} outputs and {group} inputs; one in this"
            f" checkpoint is {outputs} x {inputs}: give --dtype bfloat16 or float32"
        )
    moved = (weights.short() + OFFSET).to(torch.uint8) if weights.dtype == torch.int8 else weights
    return moved.view(outputs // COLUMNS, COLUMNS, inputs // group, group).transpose(1, 2)


def fits(plain: Transformer) -> bool:
    """Whether all of its matrices are of whole panels."""
    shapes = [(*weights.shape, GROUPS[weights.dtype]) for weights in map(weights_of, matrices_of(plain))]
    return not any(outputs % COLUMNS or inputs % group for outputs, inputs, group in shapes)


def matrices_of(plain: Transformer) -> list[Linear]:
    """Those of its layers."""
    return [part for part in plain.layers.modules() if isinstance(part, Linear)]


def weights_of(linear: Linear) -> Tensor:
    """`[outputs, inputs]` bfloat16, or the bytes that they were packed as."""
    if isinstance(linear.packed, Int8Matrix):
        return linear.packed.codes
    if linear.packed is not None or linear.weight.dtype not in GROUPS:
        raise TypeError("kernels take matrices that were packed as bytes, or bfloat16 that was not packed")
    return linear.weight.detach()
