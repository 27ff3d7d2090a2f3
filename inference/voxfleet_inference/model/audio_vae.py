"""The causal audio codec of VoxCPM (AudioVAE): samples to latent frames, and frames back to samples, streaming.

The architecture is that of the Descript Audio Codec (arXiv:2306.06546) without its quantizer, made causal.

Knows: convolutions over `[rows, channels, time]`, always in float32. Does not know: patches, sentences or formats.
The decoder is stateful: each convolution keeps the inputs that its next output needs, so that decoding in pieces
equals decoding at once. A state of zeros equals the padding at the beginning of a stream. Attribute names and indices
are those of the published checkpoints, with weight normalization folded.
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

CodecState = list[Tensor]  # per convolution with a left context: [rows, channels, left_context]

UNIT_KERNEL = 7
UNIT_DILATIONS = (1, 3, 9)


class Snake(nn.Module):
    """The activation x + sin^2(alpha x) / alpha, with one alpha per channel (arXiv:2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[rows, channels, time]` to the same shape."""
        return x.addcdiv((self.alpha * x).sin_().square_(), self.alpha + 1e-9)


class CausalConv(nn.Module):
    """A convolution over its input and `left_context` earlier ones, which are entry `state_index` of a CodecState."""

    def __init__(  # noqa: PLR0913 - a convolution has that many numbers
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        dilation: int = 1,
        stride: int = 1,
        groups: int = 1,
        left_context: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.channels, self.left_context = inputs, (kernel - 1) * dilation if left_context is None else left_context
        self.state_index = -1

    def forward(self, x: Tensor, state: CodecState | None = None) -> Tensor:
        """Map `[rows, inputs, time]` to `[rows, outputs, time / stride]`."""
        extended = _with_left_context(x, self.left_context, self.state_index, state)
        return functional.conv1d(
            extended, self.weight, self.bias, stride=self.stride, dilation=self.dilation, groups=self.groups
        )


class CausalUpsampling(nn.Module):
    """A transposed convolution with a kernel of two strides: `stride` outputs depend on their input and the one before.

    It is computed as an ordinary convolution over two inputs with `stride` times the output channels, which is several
    times faster; `pack` rearranges the published weight for it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2 * stride))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.channels, self.left_context, self.state_index = stride, inputs, 1, -1

    def pack(self) -> None:
        """Rearrange the weight `[inputs, outputs, 2 stride]` to `[outputs * stride, inputs, 2]`, earlier input first.

        The bias is repeated for the `stride` outputs of each channel.
        """
        inputs, outputs, _ = self.weight.shape
        newest_first = self.weight.view(inputs, outputs, 2, self.stride).permute(1, 3, 0, 2)
        self.weight = nn.Parameter(newest_first.flip(3).flatten(0, 1).contiguous(), requires_grad=False)
        self.bias = nn.Parameter(self.bias.repeat_interleave(self.stride), requires_grad=False)

    def forward(self, x: Tensor, state: CodecState | None = None) -> Tensor:
        """Map `[rows, inputs, time]` to `[rows, outputs, time * stride]`."""
        extended = _with_left_context(x, self.left_context, self.state_index, state)
        blocks = functional.conv1d(extended, self.weight, self.bias)  # [rows, outputs * stride, time]
        rows, _, time = blocks.shape
        return blocks.view(rows, -1, self.stride, time).transpose(2, 3).flatten(2)


def _with_left_context(x: Tensor, left_context: int, state_index: int, state: CodecState | None) -> Tensor:
    """Prepend the `left_context` inputs before `x`, and store the last ones in the state for the next piece."""
    if not left_context:
        return x
    if state is None:
        return functional.pad(x, (left_context, 0))
    context = state[state_index]
    extended = torch.cat((context, x), dim=-1)
    context.copy_(extended[..., -left_context:])
    return extended


class ResidualUnit(nn.Module):
    """A dilated depthwise convolution and a pointwise one with a residual connection."""

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

    def forward(self, x: Tensor, state: CodecState | None = None) -> Tensor:
        """Map `[rows, channels, time]` to the same shape."""
        return x + _run(self.block, x, state)


class EncoderBlock(nn.Module):
    """Three residual units, then downsampling by `stride` to twice the channels."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        # The reference pads by 2 ceil(stride / 2), which for an odd stride is one more than the kernel needs.
        downsampling = CausalConv(
            channels, 2 * channels, 2 * stride, stride=stride, left_context=2 * math.ceil(stride / 2)
        )
        self.block = nn.ModuleList((*_units(channels), Snake(channels), downsampling))

    def forward(self, x: Tensor, state: CodecState | None = None) -> Tensor:
        """Map `[rows, channels, time]` to `[rows, 2 channels, time / stride]`."""
        return _run(self.block, x, state)


class DecoderBlock(nn.Module):
    """Upsampling by `stride` to half the channels, then three residual units."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        upsampling = CausalUpsampling(channels, channels // 2, stride)
        self.block = nn.ModuleList((Snake(channels), upsampling, *_units(channels // 2)))

    def forward(self, x: Tensor, state: CodecState | None = None) -> Tensor:
        """Map `[rows, channels, time]` to `[rows, channels / 2, time * stride]`."""
        return _run(self.block, x, state)


class Encoder(nn.Module):
    """Encodes samples as latent frames; the mean of the posterior alone, because inference does not sample."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        channels = [config.encoder_dim * 2**depth for depth in range(len(config.encoder_rates) + 1)]
        blocks = (EncoderBlock(*pair) for pair in zip(channels[:-1], config.encoder_rates, strict=True))
        self.block = nn.ModuleList((CausalConv(1, channels[0], 7), *blocks))
        self.fc_mu = CausalConv(channels[-1], config.latent_dim, 3)

    def forward(self, samples: Tensor) -> Tensor:
        """Encode `[rows, 1, samples]` as `[rows, latent, frames]`."""
        return self.fc_mu(_run(self.block, samples, None))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Decodes latent frames to samples, continuing a CodecState."""

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
        self._stateful = [part for part in parts if part.left_context]
        for state_index, part in enumerate(self._stateful):
            part.state_index = state_index

    @property
    def state_sizes(self) -> list[tuple[int, int]]:
        """Channels and left context of each entry of a CodecState."""
        return [(part.channels, part.left_context) for part in self._stateful]

    def initial_state(self, rows: int) -> CodecState:
        """Return the state of `rows` streams that have not begun."""
        device = self._stateful[0].weight.device
        return [torch.zeros(rows, channels, width, device=device) for channels, width in self.state_sizes]

    def forward(self, frames: Tensor, state: CodecState) -> Tensor:
        """Decode `[rows, latent, frames]` to `[rows, 1, samples]` and update the state in place."""
        return self.before_tanh(frames, state).tanh()

    def before_tanh(self, frames: Tensor, state: CodecState) -> Tensor:
        """Decode without the final tanh, which bounds samples to [-1, 1]."""
        return _run(self.model, frames, state)


class AudioVae(nn.Module):
    """The parameters of audiovae.pth that inference needs."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)

    def pack(self) -> None:
        """Rearrange the decoder's weights; call once after loading them."""
        for part in self.decoder.modules():
            if isinstance(part, CausalUpsampling):
                part.pack()

    def encode(self, samples: Tensor) -> Tensor:
        """Encode `[rows, samples]`, a whole number of frames, as `[rows, latent, frames]`."""
        return self.encoder(samples[:, None])  # type: ignore[no-any-return]

    def decode(self, frames: Tensor, state: CodecState) -> Tensor:
        """Decode `[rows, latent, frames]` to `[rows, samples]` within [-1, 1] and update the state in place."""
        return self.decoder(frames, state)[:, 0]  # type: ignore[no-any-return]


def _units(channels: int) -> list[ResidualUnit]:
    return [ResidualUnit(channels, dilation) for dilation in UNIT_DILATIONS]


def _run(parts: Sequence[nn.Module] | nn.ModuleList, x: Tensor, state: CodecState | None) -> Tensor:
    for part in parts:
        x = part(x) if isinstance(part, Snake) else part(x, state)
    return x
