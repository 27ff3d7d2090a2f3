"""The audio decoder as one call into C: time before channels, so that every dense convolution is one product.

Knows the decoder's parts and how their weights lie for `kernels/codec.c`, whose structures it mirrors. Does not know
files, patches or sentences. Frames, samples and memory look from outside as the original decoder's do.
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

from voxfleet_inference.audio.vae import (
    CausalConv,
    CausalUpsampling,
    Decoder,
    DecoderBlock,
    Snake,
    StreamMemory,
)
from voxfleet_inference.model.cpu.compile import kernels
from voxfleet_inference.model.cpu.memory import LargePages

COLUMNS = 16  # outputs of a panel


class _Snake(Structure):
    _fields_ = (("alpha", c_void_p), ("inverse", c_void_p))


class _Stage(Structure):
    _fields_ = (
        ("snake", _Snake),
        *((name, c_void_p) for name in ("filter", "filter_bias")),
        ("after_filter", _Snake),
        *((name, c_void_p) for name in ("panels", "bias")),
        *((name, c_int64) for name in ("channels", "taps", "dilation", "window", "outputs", "growth", "is_added")),
    )


class _Decoding(Structure):
    _fields_ = (
        ("stages", c_void_p),
        *((name, c_void_p) for name in ("memories", "memory_strides", "frames", "samples", "scratch")),
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
    def remembering(self) -> CausalConv | CausalUpsampling:
        """The convolution that needs inputs from before."""
        return self.filter or self.product


class FusedDecoder(nn.Module):
    """Latent frames to samples, in place of a `Decoder` whose upsamplings were packed; it takes over its weights."""

    def __init__(self, decoder: Decoder) -> None:
        """Raises UnsupportedFormatError where there are no kernels."""
        super().__init__()
        library = kernels()
        self._decode, self._scratch_floats = library.decode, library.scratch_floats
        self._scratch_floats.restype = c_int64
        self._reaches = decoder.reaches
        stages = list(stages_of(decoder))
        self._slots = [stage.remembering.slot for stage in stages]
        self._growth = math.prod(_growth_of(stage.product) for stage in stages)
        self._kept: list[Tensor] = []  # what the structures below point to
        products = [_panels_of(stage.product) for stage in stages]
        self._pages = LargePages(sum(panels.nbytes for panels, _ in products))
        self._stages = (_Stage * len(stages))(*map(self._described, stages, products))

    def start(self, rows: int) -> StreamMemory:
        """The memory of streams that have not begun, as the original has it."""
        return [torch.zeros(rows, channels, reach) for channels, reach in self._reaches]

    def forward(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, 1, samples]`, continuing where the memory stands."""
        given = frames.transpose(1, 2).contiguous()  # [rows, frames, latent]
        rows, time, _ = given.shape
        samples = torch.empty(rows, 1, time * self._growth)
        parts, count = [memory[slot] for slot in self._slots], len(self._slots)
        memories = (c_void_p * count)(*(part.data_ptr() for part in parts))
        strides = (c_int64 * count)(*(part.stride(0) for part in parts))
        asked = _Decoding(
            stages=ctypes.addressof(self._stages),
            memories=ctypes.addressof(memories),
            memory_strides=ctypes.addressof(strides),
            frames=given.data_ptr(),
            samples=samples.data_ptr(),
            stage_count=count,
            rows=rows,
            time=time,
            threads=torch.get_num_threads(),
        )
        scratch = torch.empty(self._scratch_floats(byref(asked)))
        asked.scratch = scratch.data_ptr()
        self._decode(byref(asked))
        return samples.tanh_()

    def _described(self, stage: Stage, product: tuple[Tensor, Tensor]) -> _Stage:
        panels, bias = product
        described = _Stage(
            snake=self._bending(stage.snake),
            after_filter=self._bending(stage.after_filter),
            panels=self._pages.keep(panels).data_ptr(),
            bias=self._address(bias),
            channels=stage.remembering.channels,
            window=panels.shape[1] // stage.remembering.channels,
            outputs=stage.product.bias.numel(),
            growth=_growth_of(stage.product),
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


def stages_of(decoder: Decoder) -> Iterator[Stage]:
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
        for first, filtering, second, mixing in (unit.block for unit in units):
            yield Stage(mixing, first, filtering, second, is_added=True)
    yield Stage(last, snake)


def _growth_of(product: CausalConv | CausalUpsampling) -> int:
    return product.stride if isinstance(product, CausalUpsampling) else 1


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
