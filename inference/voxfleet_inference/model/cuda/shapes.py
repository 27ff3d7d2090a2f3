"""VoxCPM 1.5's sizes without its files, for compiling kernels and for models with random weights.

Knows: the published numbers. `Sizes` has the fields of `ModelConfig` that the network, the codec and the runner read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from voxfleet_inference.model.shapes import RotaryShape, TransformerShape

# LongRoPE's published factors are in a checkpoint's config.json; any factors give the same shapes.
_ROTARY = RotaryShape(64, 10_000.0, tuple(1.0 + 0.05 * index for index in range(32)), 1.0)
VOXCPM_15_LANGUAGE_MODEL = TransformerShape(
    layers=24,
    hidden=1024,
    ffn=4096,
    heads=16,
    kv_heads=2,
    head_dim=64,
    norm_epsilon=1e-5,
    residual_scale=1.0,
    vocabulary=73_448,
    rotary=_ROTARY,
)
VOXCPM_15_LOCAL = replace(VOXCPM_15_LANGUAGE_MODEL, layers=8, vocabulary=0)


@dataclass(frozen=True, slots=True)
class CodecSizes:
    """The sizes of `audio_vae_config`."""

    encoder_dim: int = 64
    encoder_rates: tuple[int, ...] = (2, 3, 6, 7, 7)
    latent_dim: int = 64
    decoder_dim: int = 2048
    decoder_rates: tuple[int, ...] = (7, 7, 6, 3, 2)
    sample_rate: int = 44_100

    @property
    def hop_samples(self) -> int:
        """Samples of one latent frame."""
        return math.prod(self.decoder_rates)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of the whole model."""

    base_lm: TransformerShape = VOXCPM_15_LANGUAGE_MODEL
    residual_lm: TransformerShape = VOXCPM_15_LOCAL
    local_encoder: TransformerShape = VOXCPM_15_LOCAL
    local_dit: TransformerShape = VOXCPM_15_LOCAL
    audio_vae_config: CodecSizes = field(default_factory=CodecSizes)
    patch_size: int = 4
    feat_dim: int = 64
    scalar_quantization_latent_dim: int = 256
    scalar_quantization_scale: int = 9
    max_length: int = 8192
    embedding_scale: float = 1.0

    @property
    def sample_rate(self) -> int:
        """Samples per second of the model's audio."""
        return self.audio_vae_config.sample_rate

    @property
    def patch_samples(self) -> int:
        """Samples of one patch, which is the output of one step."""
        return self.patch_size * self.audio_vae_config.hop_samples

    @property
    def patches_per_second(self) -> float:
        """Patches (steps) per second of audio."""
        return self.sample_rate / self.patch_samples


def tiny_sizes() -> Sizes:
    """Return small sizes, so that tests run every line in milliseconds."""
    rotary = RotaryShape(16, 10_000.0, tuple(1.0 + 0.125 * index for index in range(8)), 1.0)
    local = replace(VOXCPM_15_LOCAL, layers=2, hidden=64, ffn=128, heads=4, head_dim=16, rotary=rotary)
    return Sizes(
        base_lm=replace(local, layers=3, vocabulary=512),
        residual_lm=local,
        local_encoder=local,
        local_dit=local,
        audio_vae_config=CodecSizes(encoder_dim=4, decoder_dim=32),
        scalar_quantization_latent_dim=32,
        max_length=2048,
    )
