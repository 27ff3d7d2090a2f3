"""Writes the trained networks as a checkpoint: language models in bf16, the AudioVAE in fp32 as it is always read.

Knows: that the latents' gains are undone in the codec, exactly, since the decoder's first convolution is depthwise;
that characters which are read like another share its embedding row.
Does not know: training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from voxfleet_voice.codec.audio_vae import AudioVae
from voxfleet_voice.export.configuration import configuration
from voxfleet_voice.export.tokenizer import ALIASES, vocabulary, write_tokenizer
from voxfleet_voice.language.network import VoiceNetwork
from voxfleet_voice.training.files import write_atomically

Tensors = dict[str, Tensor]
DTYPE = torch.bfloat16


def write_checkpoint(folder: Path, network: VoiceNetwork, codec: AudioVae, gains: Tensor) -> None:
    """Write all files; config.json comes last, so that a folder with it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    tensors = network_tensors(network.state_dict())
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    state = {"state_dict": codec_tensors(codec.state_dict(), gains)}
    write_atomically(folder / "audiovae.pth", lambda file: torch.save(state, file))
    config = configuration(network.sizes, codec.sizes, str(DTYPE).removeprefix("torch."))
    write_atomically(folder / "config.json", lambda file: file.write(json.dumps(config, indent=2).encode() + b"\n"))


def network_tensors(trained: Mapping[str, Tensor]) -> Tensors:
    """Return what model.safetensors holds, with the rows of all characters filled in."""
    tensors = {name: tensor.detach().clone() for name, tensor in trained.items()}
    rows, ids = tensors["base_lm.embed_tokens.weight"], vocabulary()
    for character, like in ALIASES.items():
        rows[ids[character]] = rows[ids[like]]
    return {name: tensor.to(DTYPE).contiguous() for name, tensor in tensors.items()}


def codec_tensors(trained: Mapping[str, Tensor], gains: Tensor) -> Tensors:
    """Return what audiovae.pth holds: its latents are the codec's own times `gains` [32]."""
    tensors = {name: tensor.detach().clone() for name, tensor in trained.items()}
    tensors["decoder.model.0.weight_g"] /= gains[:, None, None]
    tensors["encoder.fc_mu.weight_g"] *= gains[:, None, None]
    tensors["encoder.fc_mu.bias"] *= gains
    return tensors
