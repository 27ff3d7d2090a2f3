"""Models of VoxCPM 1.5's full size with random weights: the public reference package's, and ours on the same tensors.

Knows: shapes, and how both are built in memory. Does not know: what is measured. Needs the `oracle` dependencies.
"""

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.checkpoint import read_tokenizer
from voxfleet_inference.model.config import ModelConfig
from voxfleet_inference.model.cpu.packing import compute_dtype_of, fill_packed, fuse_codec
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.model.weights import WeightFile, fill

MATRIX = 2  # dimensions


class LoadedWeights(WeightFile):
    """The reference model's tensors as a weight file, without a copy."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(Path("the reference model"))
        self._tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def read(self, name: str) -> Tensor:
        """Return the tensor of that name."""
        return self._tensors[name]


def full_config() -> dict[str, Any]:
    """Return VoxCPM 1.5's published config, except for the tokenizer's vocabulary."""
    config = copy.deepcopy(TINY_CONFIG)
    lm = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
    factors = [1.0 + 0.05 * index for index in range(32)]
    config["lm_config"] |= lm | {"vocab_size": 73448}
    config["lm_config"]["rope_scaling"] |= {"long_factor": factors, "short_factor": factors}
    local = {"hidden_dim": 1024, "ffn_dim": 4096, "num_heads": 16, "num_layers": 8}
    config["encoder_config"] |= local
    config["dit_config"] |= local
    vae = {"encoder_dim": 64, "encoder_rates": [2, 3, 6, 7, 7], "decoder_dim": 2048, "decoder_rates": [7, 7, 6, 3, 2]}
    config["audio_vae_config"] |= vae
    return config | {"residual_lm_num_layers": 8, "scalar_quantization_latent_dim": 256, "max_length": 8192}


def reference_model(config: dict[str, Any], folder: Path, device: str = "cpu") -> Any:
    """Build the public model with random weights of unit gain, so that errors do not fade; it never predicts a stop."""
    from transformers import LlamaTokenizerFast  # noqa: PLC0415 - heavy
    from voxcpm.model.voxcpm import AudioVAE, VoxCPMConfig, VoxCPMModel  # noqa: PLC0415

    warnings.simplefilter("ignore")
    parsed = VoxCPMConfig.model_validate(config)
    tokenizer = LlamaTokenizerFast.from_pretrained(str(folder))
    model = VoxCPMModel(parsed, tokenizer, AudioVAE(config=parsed.audio_vae_config), device=device).eval().to(device)
    for name, weight in model.named_parameters():
        if weight.dim() == MATRIX and not name.startswith("audio_vae"):
            weight.data.normal_(std=weight.shape[1] ** -0.5)
    model.stop_head.weight.data.zero_()
    return model


def our_model(reference: Any, config: dict[str, Any], folder: Path, dtype: torch.dtype) -> VoxCPM:
    """Build our model on the reference's tensors, packed as when a checkpoint is loaded."""
    parsed, cpu, arithmetic = ModelConfig.model_validate(config), torch.device("cpu"), compute_dtype_of(dtype)
    with torch.device("meta"):
        network, vae = Network(parsed, cpu, arithmetic), AudioVae(parsed.audio_vae_config)
    fill_packed(network, LoadedWeights(reference.state_dict()), dtype)
    fill(vae, LoadedWeights(reference.audio_vae.state_dict()), torch.float32)
    vae.pack()
    fuse_codec(vae)
    return VoxCPM(parsed, read_tokenizer(folder, parsed), network, vae)


def as_type(reference: Any, dtype: torch.dtype) -> None:
    """Convert the reference to a dtype as its own loader does: everything but the codec, including its caches."""
    name = str(dtype).removeprefix("torch.")
    reference.to(dtype)
    reference.audio_vae.to(torch.float32)
    reference.config.dtype = name
    for lm in (reference.base_lm, reference.residual_lm):
        lm.setup_cache(1, reference.config.max_length, reference.device, dtype)
