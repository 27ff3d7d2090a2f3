"""The AudioVAE of VoxCPM 1.5, for training: its layers and parameter names, with weight normalisation kept apart.

Knows: causal convolutions, Snake, depthwise residual units. Parameter names are those of the published checkpoints.
Does not know: streaming, or how it is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

RESIDUAL_DILATIONS = (1, 3, 9)


@dataclass(frozen=True, slots=True)
class VaeSizes:
    """Widths of encoder and decoder, and their strides."""

    encoder_dim: int = 8
    encoder_rates: tuple[int, ...] = (2, 3, 6, 7, 7)
    latent_dim: int = 32
    decoder_dim: int = 256
    decoder_rates: tuple[int, ...] = (7, 7, 6, 3, 2)


class NormedConvolution(nn.Module):
    """A convolution whose weight is a direction `weight_v` and a length `weight_g` per output (or input) channel."""

    def __init__(self, layer: nn.Conv1d | nn.ConvTranspose1d) -> None:
        """Take over a layer's initial weights."""
        super().__init__()
        assert layer.bias is not None  # noqa: S101
        self.weight_v = nn.Parameter(layer.weight.detach().clone())
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(1, 2), keepdim=True))
        self.bias = nn.Parameter(layer.bias.detach().clone())
        self.stride, self.dilation, self.groups = layer.stride[0], layer.dilation[0], layer.groups

    def weight(self) -> Tensor:
        """Return the weight: direction by length."""
        weight: Tensor = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(1, 2), keepdim=True))
        return weight


class CausalConvolution(NormedConvolution):
    """A convolution that looks back only."""

    def __init__(  # noqa: PLR0913
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        """Pad the past so that a stride of s makes one output of s inputs."""
        super().__init__(nn.Conv1d(inputs, outputs, kernel, stride, 0, dilation, groups))
        self.past = 2 * math.ceil(stride / 2) if stride > 1 else (kernel - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, time] -> [batch, outputs, time / stride]."""
        padded = functional.pad(x, (self.past, 0))
        return functional.conv1d(padded, self.weight(), self.bias, self.stride, 0, self.dilation, self.groups)


class CausalUpsampling(NormedConvolution):
    """A transposed convolution without what reaches beyond the last input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Use a kernel of two strides."""
        super().__init__(nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, time] -> [batch, outputs, time x stride]."""
        return functional.conv_transpose1d(x, self.weight(), self.bias, self.stride)[..., : -self.stride]


class SnakeFunction(torch.autograd.Function):
    """x + sin(alpha x)^2 / alpha in few passes over memory: half of a training step goes into it otherwise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor) -> Tensor:
        """[batch, channels, time] and [1, channels, 1], the first shape comes out."""
        y = torch.addcmul(x, alpha.reciprocal(), (alpha * x).sin_().square_())
        ctx.save_for_backward(x, alpha, y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """dy/dx = 1 + sin(2 alpha x), dy/dalpha = (x sin(2 alpha x) - (y - x)) / alpha."""
        (gradient,) = gradients
        x, alpha, y = ctx.saved_tensors
        sines = ((2 * alpha) * x).sin_()
        by_x = torch.addcmul(gradient, gradient, sines)
        by_alpha = sines.mul_(x).add_(x).sub_(y).mul_(gradient).sum((0, 2), keepdim=True) / alpha
        return by_x, by_alpha


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha."""

    def __init__(self, channels: int) -> None:
        """Begin with alpha 1."""
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, time], the same shape comes out."""
        y: Tensor = SnakeFunction.apply(x, self.alpha)  # type: ignore[no-untyped-call]
        return y


class ResidualUnit(nn.Module):
    """A depthwise convolution over time, then one over channels."""

    def __init__(self, channels: int, dilation: int, groups: int) -> None:
        """Use a kernel of 7."""
        super().__init__()
        self.block = nn.Sequential(
            Snake(channels),
            CausalConvolution(channels, channels, 7, dilation=dilation, groups=groups),
            Snake(channels),
            CausalConvolution(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, time], the same shape comes out."""
        y: Tensor = x + self.block(x)
        return y


class Block(nn.Module):
    """Layers under the published name `block`."""

    def __init__(self, *layers: nn.Module) -> None:
        """Chain the layers."""
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        y: Tensor = self.block(x)
        return y


class Encoder(nn.Module):
    """Audio -> latents."""

    def __init__(self, sizes: VaeSizes) -> None:
        """Double the channels at every stride."""
        super().__init__()
        channels = sizes.encoder_dim
        layers: list[nn.Module] = [CausalConvolution(1, channels, 7)]
        for stride in sizes.encoder_rates:
            units = [ResidualUnit(channels, dilation, channels) for dilation in RESIDUAL_DILATIONS]
            down = CausalConvolution(channels, 2 * channels, 2 * stride, stride=stride)
            layers.append(Block(*units, Snake(channels), down))
            channels *= 2
        self.block = nn.Sequential(*layers)
        self.fc_mu = CausalConvolution(channels, sizes.latent_dim, 3)
        self.fc_logvar = CausalConvolution(channels, sizes.latent_dim, 3)

    def forward(self, audio: Tensor) -> Tensor:
        """[batch, 1, frames x 1764] -> [batch, 32, frames]."""
        means: Tensor = self.fc_mu(self.block(audio))
        return means


class Decoder(nn.Module):
    """Latents -> audio."""

    def __init__(self, sizes: VaeSizes) -> None:
        """Halve the channels at every stride."""
        super().__init__()
        channels = sizes.decoder_dim
        layers: list[nn.Module] = [
            CausalConvolution(sizes.latent_dim, sizes.latent_dim, 7, groups=sizes.latent_dim),
            CausalConvolution(sizes.latent_dim, channels, 1),
        ]
        for stride in sizes.decoder_rates:
            half = channels // 2
            units = [ResidualUnit(half, dilation, half) for dilation in RESIDUAL_DILATIONS]
            layers.append(Block(Snake(channels), CausalUpsampling(channels, half, stride), *units))
            channels = half
        self.model = nn.Sequential(*layers, Snake(channels), CausalConvolution(channels, 1, 7), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """[batch, 32, frames] -> [batch, 1, frames x 1764]."""
        audio: Tensor = self.model(latents)
        return audio


class AudioVae(nn.Module):
    """Encoder and decoder."""

    def __init__(self, sizes: VaeSizes) -> None:
        """Draw initial weights from torch's global generator."""
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
