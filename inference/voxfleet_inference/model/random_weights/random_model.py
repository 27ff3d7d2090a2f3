"""A model of any size with random weights, created on its device: for benchmarks and tests without a checkpoint.

Knows: sizes, and gains that keep samples and hidden states finite. The model's audio is noise, and it never predicts a
stop. Needs PyTorch alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from voxfleet_inference.model.audio_vae import AudioVae, CausalUpsampling, ResidualUnit
from voxfleet_inference.model.cuda.shapes import Sizes
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.voxcpm import VoxCPM

_RESIDUAL_GAIN = 0.3  # of the codec's residual units, see `_limit_gain`
_LOUDNESS = 0.1  # gain of the codec's last convolution


class OneTokenPerCharacter:
    """A tokenizer that needs no file."""

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size

    def encode(self, text: str) -> list[int]:
        """Return one token per character; none is a control token, whose ids are below 200."""
        return [200 + ord(character) % (self.vocabulary_size - 200) for character in text]


def random_model(sizes: Sizes, device: torch.device, dtype: torch.dtype, seed: int = 0) -> VoxCPM:
    """Create a model; the same seed gives the same weights on the same kind of device."""
    random = torch.Generator(device).manual_seed(seed)
    with torch.device("meta"):
        network = Network(sizes, device, dtype)  # type: ignore[arg-type]  # it reads what ModelConfig and Sizes share
        vae = AudioVae(sizes.audio_vae_config)  # type: ignore[arg-type]
    _fill(network, random, dtype)
    network.stop_head.weight.data.zero_()  # both classes equal: the first, "go on", wins
    _fill(vae, random, torch.float32)
    _limit_gain(vae)
    vae.pack()
    tokenizer = OneTokenPerCharacter(sizes.base_lm.vocabulary)
    return VoxCPM(sizes, tokenizer, network, vae)  # type: ignore[arg-type]


def _fill(module: nn.Module, random: torch.Generator, dtype: torch.dtype) -> None:
    tensors = {name: _random_tensor(name, empty.shape, random).to(dtype) for name, empty in module.state_dict().items()}
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(requires_grad=False)


def _random_tensor(name: str, shape: torch.Size, random: torch.Generator) -> Tensor:
    """Draw a weight by its kind: unit gain for matrices, about 1 for norms, small for biases."""
    normal = torch.randn(shape, generator=random, device=random.device)
    if name.endswith(("embed_tokens.weight", "special_token")):
        return normal
    if name.endswith(".alpha") or ("norm" in name and len(shape) == 1):
        return 1 + 0.1 * normal
    return 0.1 * normal if len(shape) == 1 else normal / math.sqrt(math.prod(shape[1:]))


def _limit_gain(vae: AudioVae) -> None:
    """Scale the codec down: thirty residual units of unit gain would grow the signal beyond float32's resolution."""
    for part in vae.modules():
        if isinstance(part, CausalUpsampling):  # an output is a sum over two taps of every input
            part.weight.data.mul_(math.sqrt(math.prod(part.weight.shape[1:]) / (2 * part.weight.shape[0])))
        if isinstance(part, ResidualUnit):
            _scale(part.block[3], _RESIDUAL_GAIN)
    _scale(vae.decoder.model[-1], _LOUDNESS)


def _scale(part: nn.Module, gain: float) -> None:
    for weight in part.parameters():
        weight.data.mul_(gain)
