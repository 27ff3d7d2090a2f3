"""The audio decoder as a CPU likes it: time before channels, so that every dense convolution is one packed product.

Knows the decoder's parts and its memory, and computes exactly what they say. Does not know files, patches or sentences.
Inside it is `[rows, time, channels]`; frames, samples and memory look from outside as the original decoder's do.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.audio.vae import (
    CausalConv,
    CausalUpsampling,
    Decoder,
    DecoderBlock,
    ResidualUnit,
    Snake,
    StreamMemory,
)
from voxfleet_inference.model.cpu.matrices import FloatMatrix

Part = Callable[[Tensor, StreamMemory], Tensor]  # [rows, time, inputs] to [rows, time, outputs]


class TimeMajorDecoder(nn.Module):
    """Latent frames to samples, in place of a `Decoder` whose upsamplings were packed; it takes over its weights."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._reaches = decoder.reaches
        self._parts = [part for module in decoder.model for part in _parts_of(module)]

    def start(self, rows: int) -> StreamMemory:
        """The memory of streams that have not begun, as the original has it."""
        return [torch.zeros(rows, channels, reach) for channels, reach in self._reaches]

    def forward(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, 1, samples]`, continuing where the memory stands."""
        x = frames.transpose(1, 2).contiguous()
        for part in self._parts:
            x = part(x, memory)
        return x.transpose(1, 2).tanh_()


def _parts_of(module: nn.Module) -> list[Part]:
    """What a module of the decoder is made of, in order."""
    if isinstance(module, Snake):
        return [_Snake(module)]
    if isinstance(module, CausalUpsampling):
        return [_Upsampling(module)]
    if isinstance(module, ResidualUnit):
        return [_Unit([part for inner in module.block for part in _parts_of(inner)])]
    if isinstance(module, DecoderBlock):
        return [part for inner in module.block for part in _parts_of(inner)]
    if isinstance(module, CausalConv):
        return [_convolution(module)]
    raise TypeError(f"{type(module).__name__} is no part of a decoder")


def _convolution(conv: CausalConv) -> Part:
    outputs, _, taps = conv.weight.shape
    if conv.groups > 1:
        return _Depthwise(conv)
    if taps == 1:
        return _Pointwise(conv)
    return _FewOutputs(conv) if outputs < taps else _Dense(conv)


def _after_past(x: Tensor, reach: int, slot: int, memory: StreamMemory) -> Tensor:
    """`[rows, reach + time, channels]`: `x` behind the inputs before it; the memory keeps its end."""
    past = memory[slot].transpose(1, 2)
    joined = torch.cat((past, x), dim=1)
    past.copy_(joined[:, -reach:])
    return joined


def _windows(joined: Tensor, taps: int, dilation: int) -> Tensor:
    """Each output's inputs side by side, `[rows, time, taps * channels]`; without a copy where they lie so."""
    rows, length, channels = joined.shape
    time = length - (taps - 1) * dilation
    if dilation == 1 and rows == 1:
        return joined.as_strided((1, time, taps * channels), (1, channels, 1))
    return torch.cat([joined[:, tap * dilation : tap * dilation + time] for tap in range(taps)], dim=2)


class _Snake:
    """x + sin^2(alpha x) / alpha."""

    def __init__(self, snake: Snake) -> None:
        self._alpha = snake.alpha.flatten().clone()
        self._inverse = (self._alpha + 1e-9).reciprocal()

    def __call__(self, x: Tensor, _memory: StreamMemory) -> Tensor:
        return torch.addcmul(x, (x * self._alpha).sin_().square_(), self._inverse)


class _Unit:
    """Parts whose result is added to what they were given."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    def __call__(self, x: Tensor, memory: StreamMemory) -> Tensor:
        made = x
        for part in self._parts:
            made = part(made, memory)
        return made.add_(x)


class _Pointwise:
    """A kernel of one."""

    def __init__(self, conv: CausalConv) -> None:
        self._matrix = FloatMatrix(conv.weight[:, :, 0], conv.bias)

    def __call__(self, x: Tensor, _memory: StreamMemory) -> Tensor:
        return self._matrix(x)


class _Dense:
    """A kernel of several, all channels with all: a product with windows."""

    def __init__(self, conv: CausalConv) -> None:
        taps_first = conv.weight.transpose(1, 2)  # [outputs, taps, inputs]
        self._matrix = FloatMatrix(taps_first.flatten(1), conv.bias)
        self._taps, self._dilation, self._reach, self._slot = taps_first.shape[1], conv.dilation, conv.reach, conv.slot

    def __call__(self, x: Tensor, memory: StreamMemory) -> Tensor:
        return self._matrix(_windows(_after_past(x, self._reach, self._slot, memory), self._taps, self._dilation))


class _Upsampling(_Dense):
    """A convolution over two inputs that makes a block of outputs, which in this layout already lie in order."""

    def __init__(self, grow: CausalUpsampling) -> None:
        outputs = grow.weight.shape[0] // grow.stride
        block_first = grow.weight.view(outputs, grow.stride, *grow.weight.shape[1:]).transpose(0, 1)
        taps_first = block_first.flatten(0, 1).transpose(1, 2)  # [stride * outputs, 2, inputs]
        bias = grow.bias.view(outputs, grow.stride).t().flatten()
        self._matrix = FloatMatrix(taps_first.flatten(1), bias)
        self._taps, self._dilation, self._reach, self._slot = 2, 1, grow.reach, grow.slot
        self._outputs = outputs

    def __call__(self, x: Tensor, memory: StreamMemory) -> Tensor:
        return super().__call__(x, memory).view(x.shape[0], -1, self._outputs)


class _FewOutputs:
    """A kernel of several with fewer outputs than taps: each tap's product first, then their sum along time."""

    def __init__(self, conv: CausalConv) -> None:
        self._outputs, _, self._taps = conv.weight.shape
        self._matrix = conv.weight.permute(2, 0, 1).flatten(0, 1).contiguous()  # [taps * outputs, inputs]
        self._bias = conv.bias.clone()
        self._dilation, self._reach, self._slot = conv.dilation, conv.reach, conv.slot

    def __call__(self, x: Tensor, memory: StreamMemory) -> Tensor:
        products = functional.linear(_after_past(x, self._reach, self._slot, memory), self._matrix)
        taps = products.view(*products.shape[:2], self._taps, self._outputs)  # [rows, reach + time, taps, outputs]
        starts = [tap * self._dilation for tap in range(self._taps)]
        first, *others = (taps[:, start : start + x.shape[1], tap] for tap, start in enumerate(starts))
        made: Tensor = first + self._bias
        for other in others:
            made += other
        return made


class _Depthwise:
    """A kernel of several, each channel alone."""

    def __init__(self, conv: CausalConv) -> None:
        self._weight, self._bias = conv.weight.unsqueeze(2).clone(), conv.bias.clone()  # [channels, 1, 1, taps]
        self._dilation, self._groups = (1, conv.dilation), conv.groups
        self._reach, self._slot = conv.reach, conv.slot

    def __call__(self, x: Tensor, memory: StreamMemory) -> Tensor:
        joined = _after_past(x, self._reach, self._slot, memory).transpose(1, 2).unsqueeze(2)  # channels last
        made = functional.conv2d(joined, self._weight, self._bias, dilation=self._dilation, groups=self._groups)
        return made.squeeze(2).transpose(1, 2)
