"""The network that config.json describes, counted against the published checkpoint."""

import copy
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.config import AudioVaeConfig, ModelConfig
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG

CPU = torch.device("cpu")


@pytest.fixture
def published() -> dict[str, Any]:
    """VoxCPM 1.5's config.json, but for fields that inference does not read."""
    local = {"hidden_dim": 1024, "ffn_dim": 4096, "num_heads": 16, "num_layers": 8}
    return {
        "architecture": "voxcpm",
        "lm_config": {
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "max_position_embeddings": 32768,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-05,
            "rope_theta": 10000,
            "rope_scaling": {
                "type": "longrope",
                "long_factor": [1.5] * 32,
                "short_factor": [1.25] * 32,
                "original_max_position_embeddings": 32768,
            },
            "vocab_size": 73448,
            "scale_emb": 12,
            "dim_model_base": 256,
            "scale_depth": 1.4,
            "use_mup": False,
        },
        "patch_size": 4,
        "feat_dim": 64,
        "scalar_quantization_latent_dim": 256,
        "scalar_quantization_scale": 9,
        "residual_lm_num_layers": 8,
        "encoder_config": dict(local),
        "dit_config": local | {"cfm_config": {"sigma_min": 1e-06, "solver": "euler", "inference_cfg_rate": 2.0}},
        "audio_vae_config": {
            "encoder_dim": 64,
            "encoder_rates": [2, 3, 6, 7, 7],
            "latent_dim": 64,
            "decoder_dim": 2048,
            "decoder_rates": [7, 7, 6, 3, 2],
            "sample_rate": 44100,
        },
        "max_length": 8192,
        "device": "cuda",
        "dtype": "bfloat16",
    }


def test_the_published_network_has_467_tensors_and_802_million_parameters(published: dict[str, Any]) -> None:
    with torch.device("meta"):
        network = Network(ModelConfig.model_validate(published), CPU, torch.bfloat16)
    shapes = [tensor.shape for tensor in network.state_dict().values()]
    assert len(shapes) == 467
    assert sum(math.prod(shape) for shape in shapes) == pytest.approx(801.73e6, rel=1e-5)


def test_the_published_codec_has_its_parameters(published: dict[str, Any]) -> None:
    """86.48 million in the file; inference does not have the second latent head and the lengths of folded weights."""
    with torch.device("meta"):
        vae = AudioVae(ModelConfig.model_validate(published).audio_vae_config)
    assert sum(tensor.numel() for tensor in vae.state_dict().values()) == pytest.approx(86.48e6, rel=0.02)


def test_rates_follow_from_the_codec(published: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(published)
    assert (config.sample_rate, config.patch_samples, config.patches_per_second) == (44100, 7056, 6.25)


def test_a_config_without_codec_is_the_half_billion_model(published: dict[str, Any]) -> None:
    del published["audio_vae_config"]
    config = ModelConfig.model_validate(published | {"patch_size": 2})
    assert (config.sample_rate, config.patch_samples, config.patches_per_second) == (16000, 1280, 12.5)


def test_short_factors_apply_while_the_context_is_not_extended(published: dict[str, Any]) -> None:
    rotary = ModelConfig.model_validate(published).base_lm.rotary
    assert (set(rotary.factors), rotary.amplitude) == ({1.25}, 1.0)


def test_long_factors_and_a_higher_amplitude_apply_to_an_extended_context(published: dict[str, Any]) -> None:
    published["lm_config"]["rope_scaling"]["original_max_position_embeddings"] = 8192
    rotary = ModelConfig.model_validate(published).base_lm.rotary
    assert set(rotary.factors) == {1.5}
    assert rotary.amplitude == pytest.approx(math.sqrt(1 + math.log(4) / math.log(8192)))


def test_scaled_residuals_apply_only_where_asked_for(published: dict[str, Any]) -> None:
    assert ModelConfig.model_validate(published).base_lm.residual_scale == 1.0
    published["lm_config"]["use_mup"] = True
    config = ModelConfig.model_validate(published)
    assert config.embedding_scale == 12
    assert config.base_lm.residual_scale == pytest.approx(1.4 / math.sqrt(24))
    assert config.local_dit.residual_scale == pytest.approx(1.4 / math.sqrt(8))


@pytest.mark.parametrize("field", ["use_noise_block", "depthwise"])
def test_codec_variants_that_no_checkpoint_uses_are_rejected(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        AudioVaeConfig.model_validate({field: field == "use_noise_block"})


def test_language_models_without_rotary_embedding_are_rejected() -> None:
    config = copy.deepcopy(TINY_CONFIG)
    config["lm_config"] |= {"vocab_size": 10, "no_rope": True}
    with pytest.raises(ValidationError, match="no_rope"):
        ModelConfig.model_validate(config)
