"""The causal audio codec of VoxCPM: samples to latent frames, and frames back to samples as they come.

Knows convolutions over `[rows, channels, time]`, always in float32. Does not know patches, sentences or formats.
The decoder is stateful: each convolution remembers the inputs that its next output needs, so that decoding in pieces
equals decoding at once. Zero memory is exactly the padding at the beginning. Attribute names and indices are those of
the published checkpoints, weight normalisation folded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from voxfleet_inference.model.config import AudioVaeConfig

StreamMemory = list[Tensor]  # per remembering convolution: [rows, channels, reach]

UNIT_KERNEL = 7
UNIT_DILATIONS = (1, 3, 9)


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha, one alpha per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`[rows, channels, time]` to the same shape."""
        return x.addcdiv((self.alpha * x).sin_().square_(), self.alpha + 1e-9)


class CausalConv(nn.Module):
    """A convolution that sees `reach` inputs before its own; `slot` is its place in the memory."""

    def __init__(  # noqa: PLR0913 - a convolution has that many numbers
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        dilation: int = 1,
        stride: int = 1,
        groups: int = 1,
        reach: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.channels, self.reach = inputs, (kernel - 1) * dilation if reach is None else reach
        self.slot = -1

    def forward(self, x: Tensor, memory: StreamMemory | None = None) -> Tensor:
        """`[rows, inputs, time]` to `[rows, outputs, time / stride]`."""
        joined = _after_past(x, self.reach, self.slot, memory)
        return functional.conv1d(
            joined, self.weight, self.bias, stride=self.stride, dilation=self.dilation, groups=self.groups
        )


class CausalUpsampling(nn.Module):
    """A transposed convolution with a kernel of two strides: an output block depends on its input and the one before.

    Hence it is computed as an ordinary convolution over two inputs that makes all samples of a block at once, which
    is several times faster; `pack` rearranges the published weight for it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2 * stride))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.channels, self.reach, self.slot = stride, inputs, 1, -1

    def pack(self) -> None:
        """`[inputs, outputs, 2 stride]` becomes `[outputs * stride, inputs, 2]`, the earlier input first."""
        inputs, outputs, _ = self.weight.shape
        newest_first = self.weight.view(inputs, outputs, 2, self.stride).permute(1, 3, 0, 2)
        self.weight = nn.Parameter(newest_first.flip(3).flatten(0, 1).contiguous(), requires_grad=False)
        self.bias = nn.Parameter(self.bias.repeat_interleave(self.stride), requires_grad=False)

    def forward(self, x: Tensor, memory: StreamMemory | None = None) -> Tensor:
        """`[rows, inputs, time]` to `[rows, outputs, time * stride]`."""
        blocks = functional.conv1d(_after_past(x, self.reach, self.slot, memory), self.weight, self.bias)
        rows, _, time = blocks.shape
        return blocks.view(rows, -1, self.stride, time).transpose(2, 3).flatten(2)


def _after_past(x: Tensor, reach: int, slot: int, memory: StreamMemory | None) -> Tensor:
    """`x` behind the `reach` inputs before it; the memory keeps its end for the next piece."""
    if not reach:
        return x
    if memory is None:
        return functional.pad(x, (reach, 0))
    past = memory[slot]
    joined = torch.cat((past, x), dim=-1)
    past.copy_(joined[..., -reach:])
    return joined


class ResidualUnit(nn.Module):
    """A dilated depthwise convolution and a pointwise one, added to their input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            (
                Snake(channels),
                CausalConv(channels, channels, UNIT_KERNEL, dilation=dilation, groups=channels),
                Snake(channels),
                CausalConv(channels, channels, 1),
            )
        )

    def forward(self, x: Tensor, memory: StreamMemory | None = None) -> Tensor:
        """`[rows, channels, time]` to the same shape."""
        return x + _run(self.block, x, memory)


class EncoderBlock(nn.Module):
    """Three residual units, then `stride` times fewer frames of twice the channels."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        shrink = CausalConv(channels, 2 * channels, 2 * stride, stride=stride, reach=2 * math.ceil(stride / 2))
        self.block = nn.ModuleList((*_units(channels), Snake(channels), shrink))

    def forward(self, x: Tensor, memory: StreamMemory | None = None) -> Tensor:
        """`[rows, channels, time]` to `[rows, 2 channels, time / stride]`."""
        return _run(self.block, x, memory)


class DecoderBlock(nn.Module):
    """`stride` times more frames of half the channels, then three residual units."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        grow = CausalUpsampling(channels, channels // 2, stride)
        self.block = nn.ModuleList((Snake(channels), grow, *_units(channels // 2)))

    def forward(self, x: Tensor, memory: StreamMemory | None = None) -> Tensor:
        """`[rows, channels, time]` to `[rows, channels / 2, time * stride]`."""
        return _run(self.block, x, memory)


class Encoder(nn.Module):
    """Samples to latent frames."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        channels = [config.encoder_dim * 2**depth for depth in range(len(config.encoder_rates) + 1)]
        blocks = (EncoderBlock(*pair) for pair in zip(channels[:-1], config.encoder_rates, strict=True))
        self.block = nn.ModuleList((CausalConv(1, channels[0], 7), *blocks))
        self.fc_mu = CausalConv(channels[-1], config.latent_dim, 3)

    def forward(self, samples: Tensor) -> Tensor:
        """`[rows, 1, samples]` to `[rows, latent, frames]`."""
        return self.fc_mu(_run(self.block, samples, None))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Latent frames to samples."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        latent, widest = config.latent_dim, config.decoder_dim
        channels = [widest // 2**depth for depth in range(len(config.decoder_rates) + 1)]
        blocks = (DecoderBlock(*pair) for pair in zip(channels[:-1], config.decoder_rates, strict=True))
        self.model = nn.ModuleList(
            (
                CausalConv(latent, latent, 7, groups=latent),
                CausalConv(latent, widest, 1),
                *blocks,
                Snake(channels[-1]),
                CausalConv(channels[-1], 1, 7),
            )
        )
        parts = (part for part in self.modules() if isinstance(part, (CausalConv, CausalUpsampling)))
        self._remembering = [part for part in parts if part.reach]
        for slot, part in enumerate(self._remembering):
            part.slot = slot

    @property
    def reaches(self) -> list[tuple[int, int]]:
        """Channels and inputs that each remembering convolution keeps, in the memory's order."""
        return [(part.channels, part.reach) for part in self._remembering]

    def start(self, rows: int) -> StreamMemory:
        """The memory of streams that have not begun."""
        return [torch.zeros(rows, part.channels, part.reach, device=part.weight.device) for part in self._remembering]

    def forward(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, 1, samples]`, continuing where the memory stands."""
        return self.before_tanh(frames, memory).tanh()

    def before_tanh(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """The same, not yet bent into [-1, 1]."""
        return _run(self.model, frames, memory)


class AudioVae(nn.Module):
    """Everything in audiovae.pth that inference needs."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)

    def pack(self) -> None:
        """Rearrange loaded weights for speed, once, after loading."""
        for part in self.decoder.modules():
            if isinstance(part, CausalUpsampling):
                part.pack()

    def encode(self, samples: Tensor) -> Tensor:
        """`[rows, samples]`, a whole number of frames, to `[rows, latent, frames]`."""
        return self.encoder(samples[:, None])  # type: ignore[no-any-return]

    def decode(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, samples]` within [-1, 1], continuing where the memory stands."""
        return self.decoder(frames, memory)[:, 0]  # type: ignore[no-any-return]


def _units(channels: int) -> list[ResidualUnit]:
    return [ResidualUnit(channels, dilation) for dilation in UNIT_DILATIONS]


def _run(parts: Sequence[nn.Module] | nn.ModuleList, x: Tensor, memory: StreamMemory | None) -> Tensor:
    for part in parts:
        x = part(x) if isinstance(part, Snake) else part(x, memory)
    return x
