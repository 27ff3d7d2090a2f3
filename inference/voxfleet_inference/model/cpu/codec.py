"""Each half of the audio codec as one call into C: time before channels, so that every dense convolution is a product.

Knows the codec's parts and how their weights lie for `kernels/codec.c`, whose structures it mirrors. Does not know
files, patches or sentences. Samples, frames and memory look from outside as the original codec's do.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from ctypes import Structure, byref, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.audio_vae import (
    CausalConv,
    CausalUpsampling,
    Decoder,
    DecoderBlock,
    Encoder,
    ResidualUnit,
    Snake,
    StreamMemory,
)
from voxfleet_inference.model.cpu.compile import COLUMNS, kernels
from voxfleet_inference.model.cpu.memory import LargePages

ENCODED_AT_ONCE = 25  # frames, about a second


class _Snake(Structure):
    _fields_ = (("alpha", c_void_p), ("inverse", c_void_p))


class _Stage(Structure):
    _fields_ = (
        ("snake", _Snake),
        *((name, c_void_p) for name in ("filter", "filter_bias")),
        ("after_filter", _Snake),
        *((name, c_void_p) for name in ("panels", "bias")),
        *((name, c_int64) for name in ("channels", "reach", "taps", "dilation")),
        *((name, c_int64) for name in ("window", "stride", "outputs", "growth", "is_added")),
    )


class _Run(Structure):
    _fields_ = (
        ("stages", c_void_p),
        *((name, c_void_p) for name in ("memories", "memory_strides", "given", "made", "scratch")),
        *((name, c_int64) for name in ("stage_count", "rows", "time", "threads")),
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """Snake, perhaps a filter of every channel by itself and another Snake, then a product of all channels."""

    product: CausalConv | CausalUpsampling
    snake: Snake | None = None
    filter: CausalConv | None = None
    after_filter: Snake | None = None
    is_added: bool = False

    @property
    def grows(self) -> int:
        """Moments that its numbers are, of one that it is given."""
        return self.product.stride if isinstance(self.product, CausalUpsampling) else 1

    @property
    def shrinks(self) -> int:
        """Moments that it takes for one that it makes."""
        return 1 if isinstance(self.product, CausalUpsampling) else self.product.stride

    @property
    def remembering(self) -> CausalConv | CausalUpsampling:
        """The convolution that needs inputs from before."""
        return self.filter or self.product


class Chain:
    """Stages one behind the other, which take over the weights of convolutions."""

    def __init__(self, stages: list[Stage]) -> None:
        """Raises NoKernelsError where there are none."""
        library = kernels()
        self._run, self._scratch_floats = library.run_stages, library.scratch_floats
        self._scratch_floats.restype = c_int64
        self.outputs, self.channels = stages[-1].product.bias.numel(), [each.remembering.channels for each in stages]
        self.reaches = [each.remembering.reach for each in stages]
        self._kept: list[Tensor] = []  # what the structures below point to
        products = [_panels_of(stage.product) for stage in stages]
        self._pages = LargePages(sum(panels.nbytes for panels, _ in products))
        self._stages = (_Stage * len(stages))(*map(self._described, stages, products))

    def __call__(self, x: Tensor, memory: list[Tensor], moments: int) -> Tensor:
        """`[rows, channels, time]` to `[rows, outputs, moments]`; the memory has a part for each stage."""
        given = x.transpose(1, 2).contiguous()  # [rows, time, channels]
        made = torch.empty(len(x), moments, self.outputs)
        count = len(memory)
        memories = (c_void_p * count)(*(part.data_ptr() for part in memory))
        strides = (c_int64 * count)(*(part.stride(0) for part in memory))
        asked = _Run(
            stages=ctypes.addressof(self._stages),
            memories=ctypes.addressof(memories),
            memory_strides=ctypes.addressof(strides),
            given=given.data_ptr(),
            made=made.data_ptr(),
            stage_count=count,
            rows=len(x),
            time=x.shape[2],
            threads=torch.get_num_threads(),
        )
        scratch = torch.empty(self._scratch_floats(byref(asked)))
        asked.scratch = scratch.data_ptr()
        self._run(byref(asked))
        return made.transpose(1, 2)

    def _described(self, stage: Stage, product: tuple[Tensor, Tensor]) -> _Stage:
        panels, bias = product
        channels = stage.remembering.channels
        described = _Stage(
            snake=self._bending(stage.snake),
            after_filter=self._bending(stage.after_filter),
            panels=self._pages.keep(panels).data_ptr(),
            bias=self._address(bias),
            channels=channels,
            reach=stage.remembering.reach,
            window=panels.shape[1] // channels,
            stride=stage.shrinks,
            outputs=stage.product.bias.numel(),
            growth=stage.grows,
            is_added=stage.is_added,
        )
        if stage.filter is not None:
            _, _, described.taps = stage.filter.weight.shape
            described.dilation = stage.filter.dilation
            described.filter = self._address(stage.filter.weight[:, 0].T)  # [taps, channels]
            described.filter_bias = self._address(stage.filter.bias)
        return described

    def _bending(self, snake: Snake | None) -> _Snake:
        if snake is None:
            return _Snake()
        alpha = snake.alpha.flatten()
        return _Snake(self._address(alpha), self._address((alpha + 1e-9).reciprocal()))

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(tensor.detach().clone(memory_format=torch.contiguous_format))
        return self._kept[-1].data_ptr()


class FusedDecoder(nn.Module):
    """Latent frames to samples, in place of a `Decoder` whose upsamplings were packed."""

    def __init__(self, decoder: Decoder) -> None:
        """Raises NoKernelsError where there are none."""
        super().__init__()
        stages = list(decoder_stages(decoder))
        self._reaches, self._slots = decoder.reaches, [stage.remembering.slot for stage in stages]
        self._chain, self._growth = Chain(stages), math.prod(stage.grows for stage in stages)

    def start(self, rows: int) -> StreamMemory:
        """The memory of streams that have not begun, as the original has it."""
        return [torch.zeros(rows, channels, reach) for channels, reach in self._reaches]

    def forward(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, 1, samples]`, continuing where the memory stands."""
        in_order = [memory[slot] for slot in self._slots]
        return self._chain(frames, in_order, frames.shape[2] * self._growth).tanh_()


class FusedEncoder(nn.Module):
    """Samples to latent frames, in place of an `Encoder`; piece by piece, so that memory does not grow with length."""

    def __init__(self, encoder: Encoder) -> None:
        """Raises NoKernelsError where there are none."""
        super().__init__()
        stages = list(encoder_stages(encoder))
        self._chain, self._hop = Chain(stages), math.prod(stage.shrinks for stage in stages)

    def forward(self, samples: Tensor) -> Tensor:
        """`[rows, 1, samples]`, a whole number of frames, to `[rows, latent, frames]`."""
        memory = [
            torch.zeros(len(samples), channels, reach)
            for channels, reach in zip(self._chain.channels, self._chain.reaches, strict=True)
        ]
        pieces = torch.split(samples, ENCODED_AT_ONCE * self._hop, dim=2)
        return torch.cat([self._chain(piece, memory, piece.shape[2] // self._hop) for piece in pieces], dim=2)


def decoder_stages(decoder: Decoder) -> Iterator[Stage]:
    """What a decoder is made of, in order."""
    parts: list[Any] = list(decoder.model)
    filtering, mixing, *blocks, snake, last = parts
    yield Stage(mixing, filter=filtering)
    for block in blocks:
        if not isinstance(block, DecoderBlock):
            raise TypeError(f"{type(block).__name__} is no part of a decoder")
        inner: list[Any] = list(block.block)
        before, growing, *units = inner
        yield Stage(growing, before)
        yield from map(_unit, units)
    yield Stage(last, snake)


def encoder_stages(encoder: Encoder) -> Iterator[Stage]:
    """What an encoder is made of, in order."""
    parts: list[Any] = list(encoder.block)
    first, *blocks = parts
    yield Stage(first)
    for block in blocks:
        inner: list[Any] = list(block.block)
        *units, before, shrinking = inner
        yield from map(_unit, units)
        yield Stage(shrinking, before)
    yield Stage(encoder.fc_mu)


def _unit(unit: ResidualUnit) -> Stage:
    parts: list[Any] = list(unit.block)
    first, filtering, second, mixing = parts
    return Stage(mixing, first, filtering, second, is_added=True)


def _panels_of(product: CausalConv | CausalUpsampling) -> tuple[Tensor, Tensor]:
    """Weights `[panels, window * inputs, COLUMNS]`, inputs in order of time, and the bias of all columns."""
    weight, bias = product.weight.data, product.bias.data  # [outputs, inputs, window], [outputs]
    if isinstance(product, CausalUpsampling):  # makes a block of outputs, which in this layout lie in order of time
        weight, bias = _time_first(weight, product.stride), _time_first(bias, product.stride)
    missing = -len(bias) % COLUMNS
    flat = functional.pad(weight.transpose(1, 2).flatten(1), (0, 0, 0, missing))
    return flat.view(-1, COLUMNS, flat.shape[1]).transpose(1, 2).contiguous(), functional.pad(bias, (0, missing))


def _time_first(packed: Tensor, stride: int) -> Tensor:
    """`[outputs * stride, ...]` to `[stride * outputs, ...]`."""
    return packed.view(-1, stride, *packed.shape[1:]).transpose(0, 1).flatten(0, 1)
