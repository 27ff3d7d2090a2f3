"""A tiny checkpoint in the published format, generated from a seed: for tests, demos and machines without weights.

Its audio is noise, not speech. Names and shapes of tensors come from the network itself; each is drawn from a generator
seeded with its name and the seed, so that the same seed gives the same bytes. Weights are random with unit gain, so
that any fault of the mathematics changes the output; a few are set by hand so that the length of an utterance follows
the length of its text (see `_wire_stop_head`).
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from voxfleet_inference.model.audio_vae import AudioVae, CausalUpsampling, ResidualUnit
from voxfleet_inference.model.config import AudioVaeConfig, ModelConfig
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.random_weights.tiny_tokenizer import write_tiny_tokenizer

Tensors = dict[str, Tensor]

LOUDNESS = 0.3  # root mean square of the samples before the final tanh
RESIDUAL_GAIN = 0.3  # of the codec's residual units
PATCHES_PER_TOKEN = 1.25  # length of an utterance
TAG, BALANCE, VERDICT = 0, 1, 2  # hidden channels reserved for predicting the stop

TINY_CONFIG: dict[str, Any] = {
    "architecture": "voxcpm",
    "description": "random weights: it makes noise, not speech",
    "lm_config": {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "max_position_embeddings": 32768,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "rope_scaling": {
            "type": "longrope",
            "long_factor": [1.0 + 0.5 * index for index in range(8)],
            "short_factor": [1.0 + 0.125 * index for index in range(8)],
            "original_max_position_embeddings": 32768,
        },
        "scale_emb": 12,
        "dim_model_base": 256,
        "scale_depth": 1.4,
        "use_mup": False,
    },
    "residual_lm_num_layers": 1,
    "encoder_config": {"hidden_dim": 64, "ffn_dim": 128, "num_heads": 4, "num_layers": 1},
    "dit_config": {
        "hidden_dim": 64,
        "ffn_dim": 128,
        "num_heads": 4,
        "num_layers": 1,
        "cfm_config": {"sigma_min": 1e-06, "solver": "euler", "t_scheduler": "log-norm", "inference_cfg_rate": 2.0},
    },
    "audio_vae_config": {
        "encoder_dim": 8,
        "encoder_rates": [6, 14, 21],  # as many samples per frame as the published [2, 3, 6, 7, 7], in fewer blocks
        "latent_dim": 64,
        "decoder_dim": 16,
        "decoder_rates": [21, 14, 6],
        "sample_rate": 44100,
    },
    "patch_size": 4,
    "feat_dim": 64,
    "scalar_quantization_latent_dim": 32,
    "scalar_quantization_scale": 9,
    "max_length": 4096,
    "device": "cpu",
    "dtype": "float32",
}


def write_tiny_checkpoint(folder: Path | str, seed: int = 0, config: dict[str, Any] | None = None) -> None:
    """Write all files of a checkpoint into a folder, which is created if it does not exist."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fields = json.loads(json.dumps(config or TINY_CONFIG))
    fields["lm_config"]["vocab_size"] = write_tiny_tokenizer(folder)
    shape = ModelConfig.model_validate(fields)
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    save_file(_network_tensors(shape, seed), folder / "model.safetensors", metadata={"format": "pt"})
    torch.save({"state_dict": _vae_tensors(shape, seed)}, folder / "audiovae.pth")


def _network_tensors(config: ModelConfig, seed: int) -> Tensors:
    with torch.device("meta"):
        shapes = Network(config, torch.device("cpu"), torch.float32).state_dict()
    tensors = {name: _random_tensor(name, empty.shape, seed) for name, empty in shapes.items()}
    _wire_stop_head(tensors, config)
    return tensors


def _random_tensor(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Draw a weight by its kind: unit gain for matrices, about 1 for norms, small for biases."""
    random = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))
    normal = torch.randn(shape, generator=random)
    if name.endswith(("embed_tokens.weight", "special_token")):
        return normal
    if name.endswith(".alpha") or ("norm" in name and len(shape) == 1):
        return 1 + 0.1 * normal
    return 0.1 * normal if len(shape) == 1 else normal / math.sqrt(math.prod(shape[1:]))


def _wire_stop_head(tensors: Tensors, config: ModelConfig) -> None:
    """Set weights so that an utterance ends after about PATCHES_PER_TOKEN patches per text token.

    Text embeddings have +1 in channel TAG, patch embeddings a negative number. One head of the first layer attends to
    all positions equally and writes their mean tag to channel BALANCE. When patches outweigh text, one quantizer code
    becomes positive, is projected to channel VERDICT, and the stop head reads it there.
    """
    layers, head_dim = config.base_lm.layers, config.base_lm.head_dim
    tensors["base_lm.embed_tokens.weight"][:, TAG] = 1.0
    tensors["base_lm.embed_tokens.weight"][:, BALANCE] = 0.0
    tensors["enc_to_lm_proj.weight"][[TAG, BALANCE]] = 0.0
    tensors["enc_to_lm_proj.bias"][[TAG, BALANCE]] = torch.tensor([-1.0 / PATCHES_PER_TOKEN, 0.0])
    for layer in range(layers):
        tensors[f"base_lm.layers.{layer}.self_attn.o_proj.weight"][BALANCE] = 0.0
        tensors[f"base_lm.layers.{layer}.mlp.down_proj.weight"][BALANCE] = 0.0
    tensors["base_lm.layers.0.self_attn.q_proj.weight"][:head_dim] = 0.0
    _connect(tensors["base_lm.layers.0.self_attn.v_proj.weight"], {(0, TAG): 1.0})
    _connect(tensors["base_lm.layers.0.self_attn.o_proj.weight"], {(BALANCE, 0): 4.0})
    tensors["fsq_layer.in_proj.weight"][0, BALANCE] = -8.0
    tensors["fsq_layer.in_proj.bias"][0] = 0.0
    _connect(tensors["fsq_layer.out_proj.weight"], {(VERDICT, 0): 1.0})
    tensors["fsq_layer.out_proj.bias"][VERDICT] = 0.0
    _connect(tensors["stop_proj.weight"], {(0, VERDICT): 4.0, (1, VERDICT): -4.0})
    tensors["stop_proj.bias"][:2] = 0.0
    tensors["stop_head.weight"].zero_()
    _connect(tensors["stop_head.weight"], {(0, 1): 1.0, (1, 0): 1.0})


def _connect(weight: Tensor, wires: dict[tuple[int, int], float]) -> None:
    """Connect each of these outputs to one input with a gain, and to no other."""
    for (output, source), gain in wires.items():
        weight[output] = 0.0
        weight[output, source] = gain


def _vae_tensors(config: ModelConfig, seed: int) -> Tensors:
    with torch.device("meta"):
        vae = AudioVae(config.audio_vae_config)
    folded = {name: _random_tensor(name, empty.shape, seed) for name, empty in vae.state_dict().items()}
    for name, part in vae.named_modules():
        if isinstance(part, CausalUpsampling):  # an output is a sum over two taps of every input
            outputs, taps = math.prod(part.weight.shape[1:]), 2 * part.weight.shape[0]
            folded[f"{name}.weight"].mul_(math.sqrt(outputs / taps))
        if isinstance(part, ResidualUnit):  # 30 of unit gain would grow the signal beyond float32's resolution
            folded[f"{name}.block.3.weight"].mul_(RESIDUAL_GAIN)
    _set_loudness(vae, config.audio_vae_config, folded)
    means = {name: tensor for name, tensor in folded.items() if "fc_mu" in name}
    folded |= {name.replace("fc_mu", "fc_logvar"): tensor.clone() for name, tensor in means.items()}
    return dict(_split_norms(folded))


def _set_loudness(vae: AudioVae, config: AudioVaeConfig, folded: Tensors) -> None:
    """Scale both last convolutions: unit latents decode to samples at LOUDNESS, and these encode to unit latents.

    The factors are measured and then rounded, so that they do not depend on the last bits of a machine's arithmetic.
    """
    vae.load_state_dict({name: folded[name].clone() for name in vae.state_dict()}, assign=True)
    vae.pack()
    random = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        frames = torch.randn(1, config.latent_dim, 32, generator=random)
        samples = vae.decoder.before_tanh(frames, vae.decoder.initial_state(1))  # [1, 1, samples]
        noise = LOUDNESS * torch.randn(1, samples.shape[-1], generator=random)
        latents = vae.encode(noise)  # [1, latent, frames]
    gains = {f"decoder.model.{len(vae.decoder.model) - 1}": LOUDNESS / rms(samples), "encoder.fc_mu": 1 / rms(latents)}
    for name, gain in gains.items():
        folded[f"{name}.weight"].mul_(float(f"{gain:.2g}"))
        folded[f"{name}.bias"].mul_(float(f"{gain:.2g}"))


def rms(x: Tensor) -> float:
    """Return the root mean square of all elements."""
    return x.square().mean().sqrt().item()


def _split_norms(folded: Tensors) -> list[tuple[str, Tensor]]:
    """Split weights as published checkpoints store them (weight normalization): a direction and a length per output."""
    split: list[tuple[str, Tensor]] = []
    for name, tensor in folded.items():
        if not name.endswith(".weight"):
            split.append((name, tensor))
            continue
        length = tensor.flatten(1).norm(dim=1).reshape(-1, *(1 for _ in tensor.shape[1:]))
        split += [(f"{name}_g", length), (f"{name}_v", tensor)]
    return split
