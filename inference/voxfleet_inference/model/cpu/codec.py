"""The audio codec's encoder and decoder, each as one call into C.

Knows: the layout of a stage's weights for `kernels/codec.c`, whose structures are mirrored here.
Does not know: which stages a codec has (codec_stages), files, patches or sentences. Samples, frames and CodecState have
the shapes of `audio_vae`.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import Structure, byref, c_int64, c_void_p

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.audio_vae import (
    CausalConv,
    CausalUpsampling,
    CodecState,
    Decoder,
    Encoder,
    Snake,
)
from voxfleet_inference.model.cpu.codec_stages import Stage, decoder_stages, encoder_stages
from voxfleet_inference.model.cpu.compile import COLUMNS, kernels
from voxfleet_inference.model.cpu.memory import HugePages

ENCODER_CHUNK_FRAMES = 25  # about a second of audio, which bounds the scratch memory of a long recording


class _Snake(Structure):
    _fields_ = (("alpha", c_void_p), ("inverse", c_void_p))


class _Stage(Structure):
    _fields_ = (
        ("snake", _Snake),
        *((name, c_void_p) for name in ("filter", "filter_bias")),
        ("after_filter", _Snake),
        *((name, c_void_p) for name in ("panels", "bias")),
        *((name, c_int64) for name in ("channels", "left_context", "taps", "dilation")),
        *((name, c_int64) for name in ("kernel", "stride", "outputs", "upsampling", "is_residual")),
    )


class _Run(Structure):
    _fields_ = (
        ("stages", c_void_p),
        *((name, c_void_p) for name in ("states", "state_strides", "input", "output", "scratch")),
        *((name, c_int64) for name in ("stage_count", "rows", "time", "threads")),
    )


class Chain:
    """A sequence of stages with packed copies of their weights."""

    def __init__(self, stages: list[Stage]) -> None:
        """Pack the weights of all stages.

        Raises:
            NoKernelsError: no kernels can be loaded or compiled.
        """
        library = kernels()
        self._run, self._scratch_floats = library.run_stages, library.scratch_floats
        self._scratch_floats.restype = c_int64
        self.outputs, self.channels = stages[-1].product.bias.numel(), [each.stateful_conv.channels for each in stages]
        self.left_contexts = [each.stateful_conv.left_context for each in stages]
        self._keep_alive: list[Tensor] = []  # keeps alive what the structures point to
        products = [_panels_of(stage.product) for stage in stages]
        self._pages = HugePages(sum(panels.nbytes for panels, _ in products))
        self._stages = (_Stage * len(stages))(*map(self._stage_struct, stages, products))

    def __call__(self, x: Tensor, state: list[Tensor], out_time: int) -> Tensor:
        """Run `[rows, channels, time]` to `[rows, outputs, out_time]` and update the state, one tensor per stage."""
        source = x.transpose(1, 2).contiguous()  # [rows, time, channels]
        output = torch.empty(len(x), out_time, self.outputs)  # [rows, time, channels]
        count = len(state)
        states = (c_void_p * count)(*(part.data_ptr() for part in state))
        strides = (c_int64 * count)(*(part.stride(0) for part in state))
        arguments = _Run(
            stages=ctypes.addressof(self._stages),
            states=ctypes.addressof(states),
            state_strides=ctypes.addressof(strides),
            input=source.data_ptr(),
            output=output.data_ptr(),
            stage_count=count,
            rows=len(x),
            time=x.shape[2],
            threads=torch.get_num_threads(),
        )
        scratch = torch.empty(self._scratch_floats(byref(arguments)))
        arguments.scratch = scratch.data_ptr()
        self._run(byref(arguments))
        return output.transpose(1, 2)

    def _stage_struct(self, stage: Stage, product: tuple[Tensor, Tensor]) -> _Stage:
        panels, bias = product
        channels = stage.stateful_conv.channels
        struct = _Stage(
            snake=self._snake_struct(stage.snake),
            after_filter=self._snake_struct(stage.after_filter),
            panels=self._pages.append(panels).data_ptr(),
            bias=self._address(bias),
            channels=channels,
            left_context=stage.stateful_conv.left_context,
            kernel=panels.shape[1] // channels,
            stride=stage.stride,
            outputs=stage.product.bias.numel(),
            upsampling=stage.upsampling,
            is_residual=stage.is_residual,
        )
        if stage.filter is not None:
            _, _, struct.taps = stage.filter.weight.shape
            struct.dilation = stage.filter.dilation
            struct.filter = self._address(stage.filter.weight[:, 0].T)  # [taps, channels]
            struct.filter_bias = self._address(stage.filter.bias)
        return struct

    def _snake_struct(self, snake: Snake | None) -> _Snake:
        if snake is None:
            return _Snake()
        alpha = snake.alpha.flatten()
        return _Snake(self._address(alpha), self._address((alpha + 1e-9).reciprocal()))

    def _address(self, tensor: Tensor) -> int:
        self._keep_alive.append(tensor.detach().clone(memory_format=torch.contiguous_format))
        return self._keep_alive[-1].data_ptr()


class FusedDecoder(nn.Module):
    """A drop-in replacement of a `Decoder` whose upsamplings have been packed."""

    def __init__(self, decoder: Decoder) -> None:
        """Pack the decoder's weights.

        Raises:
            NoKernelsError: no kernels can be loaded or compiled.
        """
        super().__init__()
        stages = list(decoder_stages(decoder))
        self._state_sizes = decoder.state_sizes
        self._state_indices = [stage.stateful_conv.state_index for stage in stages]
        self._chain, self._upsampling = Chain(stages), math.prod(stage.upsampling for stage in stages)

    def initial_state(self, rows: int) -> CodecState:
        """Return the state of `rows` streams that have not begun, as `Decoder.initial_state` does."""
        return [torch.zeros(rows, channels, left_context) for channels, left_context in self._state_sizes]

    def forward(self, frames: Tensor, state: CodecState) -> Tensor:
        """Decode `[rows, latent, frames]` to `[rows, 1, samples]` and update the state in place."""
        in_order = [state[index] for index in self._state_indices]
        return self._chain(frames, in_order, frames.shape[2] * self._upsampling).tanh_()


class FusedEncoder(nn.Module):
    """A drop-in replacement of an `Encoder` that works in chunks, so that memory does not grow with the recording."""

    def __init__(self, encoder: Encoder) -> None:
        """Pack the encoder's weights.

        Raises:
            NoKernelsError: no kernels can be loaded or compiled.
        """
        super().__init__()
        stages = list(encoder_stages(encoder))
        self._chain, self._hop = Chain(stages), math.prod(stage.stride for stage in stages)

    def forward(self, samples: Tensor) -> Tensor:
        """Encode `[rows, 1, samples]`, a whole number of frames, as `[rows, latent, frames]`."""
        state = [
            torch.zeros(len(samples), channels, left_context)
            for channels, left_context in zip(self._chain.channels, self._chain.left_contexts, strict=True)
        ]
        pieces = torch.split(samples, ENCODER_CHUNK_FRAMES * self._hop, dim=2)
        return torch.cat([self._chain(piece, state, piece.shape[2] // self._hop) for piece in pieces], dim=2)


def _panels_of(product: CausalConv | CausalUpsampling) -> tuple[Tensor, Tensor]:
    """Return weights `[panels, kernel * inputs, COLUMNS]`, inputs in order of time, and the bias of all columns."""
    weight, bias = product.weight.data, product.bias.data  # [outputs, inputs, kernel], [outputs]
    if isinstance(product, CausalUpsampling):  # its outputs are `stride` time steps, which here come before channels
        weight, bias = _time_first(weight, product.stride), _time_first(bias, product.stride)
    missing = -len(bias) % COLUMNS
    flat = functional.pad(weight.transpose(1, 2).flatten(1), (0, 0, 0, missing))
    return flat.view(-1, COLUMNS, flat.shape[1]).transpose(1, 2).contiguous(), functional.pad(bias, (0, missing))


def _time_first(packed: Tensor, stride: int) -> Tensor:
    """Reorder `[outputs * stride, ...]` to `[stride * outputs, ...]`."""
    return packed.view(-1, stride, *packed.shape[1:]).transpose(0, 1).flatten(0, 1)
