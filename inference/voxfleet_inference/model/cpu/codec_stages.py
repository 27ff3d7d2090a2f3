"""The stages that an audio codec's encoder and decoder consist of, in the order in which samples pass them.

Knows: the codec's modules and what they are made of. Does not know: how a stage is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voxfleet_inference.model.audio_vae import (
    CausalConv,
    CausalUpsampling,
    Decoder,
    DecoderBlock,
    Encoder,
    ResidualUnit,
    Snake,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """An optional Snake, an optional depthwise convolution with a Snake, and a dense convolution."""

    product: CausalConv | CausalUpsampling
    snake: Snake | None = None
    filter: CausalConv | None = None
    after_filter: Snake | None = None
    is_residual: bool = False

    @property
    def upsampling(self) -> int:
        """Output time steps per input time step."""
        return self.product.stride if isinstance(self.product, CausalUpsampling) else 1

    @property
    def stride(self) -> int:
        """Input time steps per output time step."""
        return 1 if isinstance(self.product, CausalUpsampling) else self.product.stride

    @property
    def stateful_conv(self) -> CausalConv | CausalUpsampling:
        """The convolution with a left context: the depthwise one where there is one."""
        return self.filter or self.product


def decoder_stages(decoder: Decoder) -> Iterator[Stage]:
    """Yield the stages of a decoder in order.

    Raises:
        TypeError: the decoder has a module of another type.
    """
    parts: list[Any] = list(decoder.model)
    depthwise, pointwise, *blocks, snake, last = parts
    yield Stage(pointwise, filter=depthwise)
    for block in blocks:
        if not isinstance(block, DecoderBlock):
            raise TypeError(f"{type(block).__name__} is no part of a decoder: the kernels know DecoderBlock")
        inner: list[Any] = list(block.block)
        before, upsampling_conv, *units = inner
        yield Stage(upsampling_conv, before)
        yield from map(_unit, units)
    yield Stage(last, snake)


def encoder_stages(encoder: Encoder) -> Iterator[Stage]:
    """Yield the stages of an encoder in order."""
    parts: list[Any] = list(encoder.block)
    first, *blocks = parts
    yield Stage(first)
    for block in blocks:
        inner: list[Any] = list(block.block)
        *units, before, downsampling_conv = inner
        yield from map(_unit, units)
        yield Stage(downsampling_conv, before)
    yield Stage(encoder.fc_mu)


def _unit(unit: ResidualUnit) -> Stage:
    parts: list[Any] = list(unit.block)
    first, depthwise, second, pointwise = parts
    return Stage(pointwise, first, depthwise, second, is_residual=True)
