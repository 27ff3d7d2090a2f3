"""A transformer whose forward pass is one call into C, with int8 or bfloat16 matrices.

Knows: the layout of weights for `kernels/stack.h`, whose structures are mirrored here, and the arguments of a pass.
Does not know: what the transformer is for. The weights are taken from a plain `Transformer` and freed there.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxfleet_inference.model.cpu.compile import COLUMNS, kernels
from voxfleet_inference.model.cpu.matrices import Int8Matrix
from voxfleet_inference.model.cpu.memory import HugePages
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
    from voxfleet_inference.model.layers.transformer import Layer

OFFSET = 128  # the kernels multiply signed activations with unsigned weights
GROUPS = {torch.int8: 4, torch.bfloat16: 2}  # consecutive inputs that one instruction multiplies per output
ALL_POSITIONS = 2**40  # more than a rotary table has: a slice of the whole table


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
        *((name, c_int64) for name in ("capacity", "rows", "tokens", "threads")),
    )


class FusedTransformer(Transformer):
    """A drop-in replacement of a `Transformer` in bfloat16, or in float32 with int8 matrices."""

    def __init__(self, plain: Transformer) -> None:
        """Move the weights out of a plain transformer, which is unusable afterwards.

        Raises:
            NoKernelsError: no kernels can be loaded or compiled.
            UnsupportedFormatError: a matrix is not a whole number of panels; `has_whole_panels` checks it.
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
        self._keep_alive: list[Tensor] = []  # keeps alive what the structures point to
        self._stack = self._stack_struct(layers[0])
        self._pages = HugePages(sum(weights_of(part).nbytes for part in linears_of(plain)))
        self._layers = (_Layer * len(layers))(*(self._layer_struct(layer) for layer in layers))
        self._stack.layers, self._stack.layer_count = ctypes.addressof(self._layers), len(layers)

    def forward(self, x: Tensor, cache: KvCache | None = None, metadata: AttentionMetadata | None = None) -> Tensor:
        """Map `[rows, tokens, hidden]` to the same shape: causal with a cache, bidirectional without one."""
        output = x.to(torch.float32, memory_format=torch.contiguous_format, copy=True)  # computed in place
        arguments = _Pass(x=output.data_ptr(), rows=x.shape[0], tokens=x.shape[1], threads=torch.get_num_threads())
        if cache is not None and metadata is not None:
            arguments.keys, arguments.values = cache.keys.data_ptr(), cache.values.data_ptr()
            arguments.capacity = cache.keys.shape[1]
            arguments.first, arguments.filled = metadata.first.data_ptr(), metadata.lengths.data_ptr()
        scratch = torch.empty(
            self._scratch_bytes(ctypes.byref(self._stack), ctypes.byref(arguments)), dtype=torch.uint8
        )
        arguments.scratch = scratch.data_ptr()
        self._run(ctypes.byref(self._stack), ctypes.byref(arguments))
        return output.to(x.dtype)

    def _stack_struct(self, layer: Layer) -> _Stack:
        """Fill in everything but the layers; sizes follow from the shapes of one layer's weights."""
        attention, dim = layer.self_attn, layer.self_attn.head_dim
        cosines, sines = self.rotary.first(ALL_POSITIONS)
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

    def _layer_struct(self, layer: Layer) -> _Layer:
        """Pack the weights of a layer and free its own."""
        attention, feed_forward = layer.self_attn, layer.mlp
        struct = _Layer(
            qkv=self._matrix_struct(attention.q_proj, attention.k_proj, attention.v_proj),
            output=self._matrix_struct(attention.o_proj),
            gate_up=self._matrix_struct(feed_forward.gate_proj, feed_forward.up_proj, interleaved=True),
            down=self._matrix_struct(feed_forward.down_proj),
            first_norm=self._address(layer.input_layernorm.weight),
            second_norm=self._address(layer.post_attention_layernorm.weight),
        )
        del layer.self_attn, layer.mlp
        return struct

    def _matrix_struct(self, *parts: Linear, interleaved: bool = False) -> _Matrix:
        """Pack several matrices as one: concatenated, or with their panels alternating."""

        def joined(pieces: list[Tensor]) -> Tensor:
            return torch.stack(pieces, dim=1).flatten(0, 1) if interleaved else torch.cat(pieces)

        weights = [weights_of(part) for part in parts]
        struct = _Matrix(inputs=weights[0].shape[1], outputs=sum(map(len, weights)))
        struct.panels = self._pages.append(joined([panels(each) for each in weights])).data_ptr()
        scales = [part.packed.scales.view(-1, COLUMNS) for part in parts if isinstance(part.packed, Int8Matrix)]
        if scales:
            struct.scales = self._address(joined(scales))
        return struct

    def _address(self, tensor: Tensor) -> int:
        self._keep_alive.append(tensor.detach().float().contiguous())
        return self._keep_alive[-1].data_ptr()


def panels(weights: Tensor) -> Tensor:
    """Rearrange `[outputs, inputs]` to `[panels, inputs / group, COLUMNS, group]`, and add OFFSET to int8.

    Raises:
        UnsupportedFormatError: the matrix is not a whole number of panels.
    """
    outputs, inputs = weights.shape
    group = GROUPS[weights.dtype]
    if outputs % COLUMNS or inputs % group:
        raise UnsupportedFormatError(
            f"int8 on a CPU takes matrices whose outputs are a multiple of {COLUMNS} and whose inputs one of {group};"
            f" one in this checkpoint is {outputs} x {inputs}: give --dtype bfloat16 or float32"
        )
    shifted = (weights.short() + OFFSET).to(torch.uint8) if weights.dtype == torch.int8 else weights
    return shifted.view(outputs // COLUMNS, COLUMNS, inputs // group, group).transpose(1, 2)


def has_whole_panels(plain: Transformer) -> bool:
    """Return whether the kernels take all matrices of a transformer."""
    shapes = [(*weights.shape, GROUPS[weights.dtype]) for weights in map(weights_of, linears_of(plain))]
    return not any(outputs % COLUMNS or inputs % group for outputs, inputs, group in shapes)


def linears_of(plain: Transformer) -> list[Linear]:
    """Return the matrices of a transformer's layers."""
    return [part for part in plain.layers.modules() if isinstance(part, Linear)]


def weights_of(linear: Linear) -> Tensor:
    """Return a matrix as the kernels take it: `[outputs, inputs]` bfloat16, or the int8 codes it was packed to.

    Raises:
        TypeError: it has another format.
    """
    if isinstance(linear.packed, Int8Matrix):
        return linear.packed.codes
    if linear.packed is not None or linear.weight.dtype not in GROUPS:
        raise TypeError("the kernels take int8 matrices and bfloat16 matrices that are not packed")
    return linear.weight.detach()
