"""config.json of the voice, in the published form."""

from __future__ import annotations

from typing import Any

from voxfleet_voice.codec.audio_vae import VaeSizes
from voxfleet_voice.language.network import NetworkSizes
from voxfleet_voice.language.transformer import EPSILON, ROPE_BASE
from voxfleet_voice.teacher.grid import SAMPLE_RATE_HZ

_POSITIONS = 32_768


def configuration(sizes: NetworkSizes, vae: VaeSizes, dtype: str) -> dict[str, Any]:
    """Return the content of config.json."""
    local = {
        "hidden_dim": sizes.local_hidden,
        "ffn_dim": sizes.local_intermediate,
        "num_heads": sizes.local_hidden // sizes.head_dim,
    }
    flow = {"sigma_min": 1e-6, "solver": "euler", "t_scheduler": "log-norm", "inference_cfg_rate": 2.0}
    return {
        "architecture": "voxcpm",
        "lm_config": _lm_config(sizes),
        "patch_size": sizes.patch,
        "feat_dim": sizes.latents,
        "residual_lm_num_layers": sizes.residual_layers,
        "scalar_quantization_latent_dim": sizes.quantized,
        "scalar_quantization_scale": sizes.levels,
        "encoder_config": {**local, "num_layers": sizes.encoder_layers},
        "dit_config": {**local, "num_layers": sizes.dit_layers, "cfm_config": flow},
        "audio_vae_config": _vae_config(vae),
        "max_length": 2048,
        "device": "cpu",
        "dtype": dtype,
        # Not published fields: servers of this project say the languages in /v1/models and on their page, and prompt
        # a single speaker only with a recording.
        "languages": ["en"],
        "single_speaker": True,
    }


def _lm_config(sizes: NetworkSizes) -> dict[str, Any]:
    """Return the base language model; the residual one differs in its number of layers alone."""
    factors = [1.0] * (sizes.head_dim // 2)  # positions are not stretched
    return {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "max_position_embeddings": _POSITIONS,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.base_layers,
        "num_key_value_heads": sizes.kv_heads,
        "rms_norm_eps": EPSILON,
        "rope_theta": ROPE_BASE,
        "rope_scaling": {
            "type": "longrope",
            "long_factor": factors,
            "short_factor": factors,
            "original_max_position_embeddings": _POSITIONS,
        },
        "vocab_size": sizes.vocabulary,
        "use_mup": False,
        "scale_emb": 12,
        "dim_model_base": 256,
        "scale_depth": 1.4,
    }


def _vae_config(vae: VaeSizes) -> dict[str, Any]:
    """Return the audio codec."""
    return {
        "encoder_dim": vae.encoder_dim,
        "encoder_rates": list(vae.encoder_rates),
        "latent_dim": vae.latent_dim,
        "decoder_dim": vae.decoder_dim,
        "decoder_rates": list(vae.decoder_rates),
        "sample_rate": SAMPLE_RATE_HZ,
        "depthwise": True,
    }
