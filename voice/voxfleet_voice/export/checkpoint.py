"""The trained networks as a checkpoint: language models in bf16, the AudioVAE in fp32 as it is always read.

Knows: that the latents' gains are undone in the codec, exactly, since the decoder's first convolution is depthwise;
that characters which are read like another share its embedding row; that the basis of the latents lies beside the
published files, so that training can go on from a checkpoint alone.
Does not know: training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from voxfleet_voice.codec.audio_vae import AudioVae
from voxfleet_voice.codec.latent_basis import LatentBasis, load_basis
from voxfleet_voice.export.configuration import configuration
from voxfleet_voice.export.tokenizer import ALIASES, vocabulary, write_tokenizer
from voxfleet_voice.language.network import VoiceNetwork
from voxfleet_voice.training.files import write_atomically

Tensors = dict[str, Tensor]
DTYPE = torch.bfloat16
BASIS = "latent_basis.npz"


def write_checkpoint(folder: Path, network: VoiceNetwork, codec: AudioVae, basis: LatentBasis) -> None:
    """Write all files; config.json comes last, so that a folder with it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    basis.save(folder / BASIS)
    write_tokenizer(folder)
    tensors = network_tensors(network.state_dict())
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # save_file makes it its owner's alone; servers run as another user
    state = {"state_dict": codec_tensors(codec.state_dict(), torch.from_numpy(basis.gains))}
    write_atomically(folder / "audiovae.pth", lambda file: torch.save(state, file))
    config = configuration(network.sizes, codec.sizes, str(DTYPE).removeprefix("torch."))
    write_atomically(folder / "config.json", lambda file: file.write(json.dumps(config, indent=2).encode() + b"\n"))


def read_checkpoint(folder: Path, network: VoiceNetwork, codec: AudioVae) -> LatentBasis:
    """Load what `write_checkpoint` wrote into both networks, and return its basis.

    Raises:
        FileNotFoundError: a file is missing; the published checkpoint has no basis, and cannot be trained on here.
        RuntimeError: the networks have other sizes.
    """
    basis = load_basis(folder / BASIS)
    tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    rows = tensors["base_lm.embed_tokens.weight"]
    theirs = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    tensors["base_lm.embed_tokens.weight"] = torch.stack(
        [rows[theirs[token]] if token in theirs else torch.zeros(rows.shape[1]) for token in vocabulary()]
    )
    network.load_state_dict(tensors)
    published = torch.load(folder / "audiovae.pth", weights_only=True)["state_dict"]
    codec.load_state_dict(codec_tensors(published, 1 / torch.from_numpy(basis.gains)))
    return basis


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
