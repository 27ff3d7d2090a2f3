"""A transformer whose matrices are bytes, a pass of which is one call into C.

Knows how weights lie for `kernels/int8_stack.c`, whose structures it mirrors, and what a pass hands over. Does not know
what the transformer is for. Takes a plain `Transformer` apart whose matrices were packed as bytes; those are freed.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxfleet_inference.model.cpu.compile import kernels
from voxfleet_inference.model.cpu.matrices import Int8Matrix
from voxfleet_inference.model.cpu.memory import LargePages
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.transformer import Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.kv_cache import KvArena, Span
    from voxfleet_inference.model.transformer import Layer

COLUMNS = 16  # outputs of a panel
GROUP = 4  # inputs that one instruction takes
OFFSET = 128  # kernels multiply signed activations with unsigned weights
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


class Int8Transformer(Transformer):
    """The same as `Transformer`, for one that was loaded with matrices of bytes; in and out it is float32."""

    def __init__(self, plain: Transformer) -> None:
        """Take the weights out of a plain transformer, which is empty afterwards."""
        nn.Module.__init__(self)
        if hasattr(plain, "embed_tokens"):
            self.embed_tokens = plain.embed_tokens
        self.norm, self.rotary = plain.norm, plain.rotary
        library = kernels()
        self._run, self._scratch_bytes = library.run_stack, library.scratch_bytes
        self._scratch_bytes.restype = c_int64
        layers: list[Layer] = list(plain.layers)  # type: ignore[arg-type]  # a ModuleList of Layers
        self._kept: list[Tensor] = []  # what the structures below point to
        self._stack = self._described(layers[0])
        self._pages = LargePages(sum(_weights_of(layer) for layer in layers))
        self._layers = (_Layer * len(layers))(*(self._taken(layer) for layer in layers))
        self._stack.layers, self._stack.layer_count = ctypes.addressof(self._layers), len(layers)

    def forward(self, x: Tensor, arena: KvArena | None = None, span: Span | None = None) -> Tensor:
        """`[rows, tokens, hidden]` to the same shape."""
        made = x.clone(memory_format=torch.contiguous_format)
        given = _Pass(x=made.data_ptr(), rows=x.shape[0], tokens=x.shape[1], threads=torch.get_num_threads())
        if arena is not None and span is not None:
            given.keys, given.values, given.room = arena.keys.data_ptr(), arena.values.data_ptr(), arena.keys.shape[1]
            given.first, given.filled = span.first.data_ptr(), span.lengths.data_ptr()
        stack, asked = ctypes.byref(self._stack), ctypes.byref(given)
        scratch = torch.empty(self._scratch_bytes(stack, asked), dtype=torch.uint8)
        given.scratch = scratch.data_ptr()
        self._run(stack, asked)
        return made

    def _described(self, layer: Layer) -> _Stack:
        """Everything but the layers."""
        attention, dim = layer.self_attn, layer.self_attn.head_dim
        cosines, sines = self.rotary.first(EVERY_POSITION)
        return _Stack(
            norm=self._address(self.norm.weight),
            cosines=self._address(cosines),
            sines=self._address(sines),
            hidden=_bytes_of(attention.o_proj).outputs,
            ffn=_bytes_of(layer.mlp.down_proj).inputs,
            heads=_bytes_of(attention.q_proj).outputs // dim,
            kv_heads=_bytes_of(attention.k_proj).outputs // dim,
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
        matrices = [_bytes_of(part) for part in parts]
        codes, scales = [panels(each.codes) for each in matrices], [each.scales.view(-1, COLUMNS) for each in matrices]
        joined = [
            torch.stack(pieces, dim=1).flatten(0, 1) if take_turns else torch.cat(pieces) for pieces in (codes, scales)
        ]
        outputs, inputs = sum(each.outputs for each in matrices), matrices[0].inputs
        return _Matrix(self._pages.keep(joined[0]).data_ptr(), self._address(joined[1]), inputs, outputs)

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(tensor.contiguous())
        return self._kept[-1].data_ptr()


def panels(codes: Tensor) -> Tensor:
    """`[outputs, inputs]` signed bytes to `[panels, inputs / GROUP, COLUMNS, GROUP]` unsigned ones."""
    outputs, inputs = codes.shape
    if outputs % COLUMNS or inputs % GROUP:
        raise UnsupportedFormatError(
            f"int8 on a CPU takes matrices of whole panels, {COLUMNS} outputs and {GROUP} inputs; one in this"
            f" checkpoint is {outputs} x {inputs}: give --dtype bfloat16 or float32"
        )
    moved = (codes.short() + OFFSET).to(torch.uint8)
    return moved.view(outputs // COLUMNS, COLUMNS, inputs // GROUP, GROUP).transpose(1, 2)


def _bytes_of(linear: Linear) -> Int8Matrix:
    if not isinstance(linear.packed, Int8Matrix):
        raise TypeError("this transformer's matrices were not packed as bytes")
    return linear.packed


def _weights_of(layer: Layer) -> int:
    return sum(_bytes_of(part).codes.numel() for part in layer.modules() if isinstance(part, Linear))
