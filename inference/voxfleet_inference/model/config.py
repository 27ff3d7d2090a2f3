"""The fields of a checkpoint's config.json, validated when it is read.

Knows: the published fields and their defaults. Does not know: weights, devices or torch; the network is built from
`TransformerShape`. Settings that change the mathematics in ways this server does not implement (VoxCPM 2's options)
are rejected here, by name: they are `Literal[False]`.
"""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from voxfleet_inference.model.shapes import RotaryShape, TransformerShape

__all__ = ("AudioVaeConfig", "ModelConfig", "RotaryShape", "TransformerShape")


class RopeScaling(BaseModel):
    """LongRoPE's rescale factors, one per rotary frequency (arXiv:2402.13753)."""

    short_factor: list[float]
    long_factor: list[float]
    original_max_position_embeddings: PositiveInt


class LanguageModelConfig(BaseModel):
    """`lm_config`: the base LM, and the defaults of the other three transformers."""

    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    num_hidden_layers: PositiveInt
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling
    kv_channels: PositiveInt | None = None
    use_mup: bool = True
    scale_emb: float = 1.0
    scale_depth: float = 1.0
    no_rope: Literal[False] = False


class LocalTransformerConfig(BaseModel):
    """`encoder_config` and `dit_config`: the two transformers whose context is a patch."""

    hidden_dim: PositiveInt = 1024
    ffn_dim: PositiveInt = 4096
    num_heads: PositiveInt = 16
    num_layers: PositiveInt = 4
    kv_channels: PositiveInt | None = None


class AudioVaeConfig(BaseModel):
    """`audio_vae_config`; the defaults are those of the 0.5B checkpoint, which has no such field."""

    encoder_dim: PositiveInt = 128
    encoder_rates: list[PositiveInt] = [2, 5, 8, 8]
    latent_dim: PositiveInt = 64
    decoder_dim: PositiveInt = 1536
    decoder_rates: list[PositiveInt] = [8, 8, 5, 2]
    depthwise: Literal[True] = True
    sample_rate: PositiveInt = 16_000
    use_noise_block: Literal[False] = False

    @property
    def hop_samples(self) -> int:
        """Samples of one latent frame."""
        return math.prod(self.decoder_rates)


class ModelConfig(BaseModel):
    """All fields of config.json that inference needs."""

    model_config = ConfigDict(frozen=True)

    architecture: str = "voxcpm"
    lm_config: LanguageModelConfig
    residual_lm_num_layers: PositiveInt = 6
    encoder_config: LocalTransformerConfig
    dit_config: LocalTransformerConfig
    audio_vae_config: AudioVaeConfig = Field(default_factory=AudioVaeConfig)
    patch_size: PositiveInt = 2
    feat_dim: PositiveInt = 64
    scalar_quantization_latent_dim: PositiveInt = 256
    scalar_quantization_scale: PositiveInt = 9
    max_length: PositiveInt = 4096
    languages: tuple[str, ...] = ()  # BCP 47; not in published checkpoints, which say nothing about it
    single_speaker: bool = False  # trained on one speaker, needs no prompt to keep the voice; not in published ones
    dit_mean_mode: Literal[False] = False

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        vae = self.audio_vae_config
        if vae.latent_dim != self.feat_dim:
            raise ValueError(f"audio_vae_config.latent_dim {vae.latent_dim} must equal feat_dim {self.feat_dim}")
        if math.prod(vae.encoder_rates) != vae.hop_samples:
            raise ValueError(f"encoder_rates {vae.encoder_rates} and decoder_rates {vae.decoder_rates} must agree")
        for shape in (self.base_lm, self.local_encoder, self.local_dit):
            if 2 * len(shape.rotary.factors) != shape.head_dim:
                raise ValueError(f"rope_scaling has {len(shape.rotary.factors)} factors for a head of {shape.head_dim}")
        return self

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
        """Patches (steps) per second of audio: 6.25 for VoxCPM 1.5."""
        return self.sample_rate / self.patch_samples

    @property
    def embedding_scale(self) -> float:
        """The factor of text embeddings; MiniCPM's muP scaling, where it is used."""
        return self.lm_config.scale_emb if self.lm_config.use_mup else 1.0

    @property
    def base_lm(self) -> TransformerShape:
        """The language model over text and patches (TSLM in the paper)."""
        return self._language_model(self.lm_config.num_hidden_layers, self.lm_config.vocab_size)

    @property
    def residual_lm(self) -> TransformerShape:
        """The language model that restores the acoustic detail lost in quantization (RALM); it has no vocabulary."""
        return self._language_model(self.residual_lm_num_layers, vocabulary=0)

    @property
    def local_encoder(self) -> TransformerShape:
        """The transformer that encodes a patch as one embedding (LocEnc)."""
        return self._local(self.encoder_config)

    @property
    def local_dit(self) -> TransformerShape:
        """The diffusion transformer that turns noise into a patch (LocDiT)."""
        return self._local(self.dit_config)

    def _language_model(self, layers: int, vocabulary: int) -> TransformerShape:
        lm = self.lm_config
        return self._shape(
            LocalTransformerConfig(
                hidden_dim=lm.hidden_size,
                ffn_dim=lm.intermediate_size,
                num_heads=lm.num_attention_heads,
                num_layers=layers,
                kv_channels=lm.kv_channels,
            ),
            vocabulary,
        )

    def _local(self, local: LocalTransformerConfig) -> TransformerShape:
        return self._shape(local, vocabulary=0)

    def _shape(self, size: LocalTransformerConfig, vocabulary: int) -> TransformerShape:
        head_dim = size.kv_channels or size.hidden_dim // size.num_heads
        lm = self.lm_config
        return TransformerShape(
            layers=size.num_layers,
            hidden=size.hidden_dim,
            ffn=size.ffn_dim,
            heads=size.num_heads,
            kv_heads=lm.num_key_value_heads,
            head_dim=head_dim,
            norm_epsilon=lm.rms_norm_eps,
            residual_scale=lm.scale_depth / math.sqrt(size.num_layers) if lm.use_mup else 1.0,
            vocabulary=vocabulary,
            rotary=_rotary_shape(lm, head_dim),
        )


def _rotary_shape(lm: LanguageModelConfig, head_dim: int) -> RotaryShape:
    """Select LongRoPE's long factors, and an amplitude above 1, only if the context was extended."""
    original = lm.rope_scaling.original_max_position_embeddings
    extension = lm.max_position_embeddings / original
    factors = lm.rope_scaling.long_factor if extension > 1 else lm.rope_scaling.short_factor
    amplitude = math.sqrt(1 + math.log(extension) / math.log(original))
    return RotaryShape(head_dim, lm.rope_theta, tuple(factors), amplitude)
