"""A loaded checkpoint: tokenizer, network and audio codec on one device.

Knows: how a recording becomes the latents of a voice prompt. Does not know: sentences, slots or steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from voxfleet_inference.model.audio_vae import AudioVae
    from voxfleet_inference.model.config import ModelConfig
    from voxfleet_inference.model.network import Network
    from voxfleet_inference.model.tokenizer import Tokenizer


class VoxCPM:
    """A loaded model on one device; `runner.model_runner.ModelRunner` decodes with it."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, network: Network, vae: AudioVae) -> None:
        self.config, self.tokenizer, self.network, self.vae = config, tokenizer, network, vae
        self.device, self.dtype = network.stop_head.weight.device, network.stop_head.weight.dtype

    @property
    def patch_samples(self) -> int:
        """Samples of one patch."""
        return self.config.patch_samples

    @property
    def patches_per_second(self) -> float:
        """Steps per second of audio."""
        return self.config.patches_per_second

    @torch.inference_mode()
    def encode_prompt_audio(self, samples: Tensor) -> Tensor:
        """Encode mono samples `[n]` at the model's rate as latents `[patches, patch_size, feat_dim]` float32.

        A recording that is not a whole number of patches is padded at its beginning, because speech continues its end.
        """
        padding = -len(samples) % self.patch_samples
        whole = functional.pad(samples.to(self.device, torch.float32), (padding, 0))  # [patches * patch_samples]
        latents = self.vae.encode(whole[None])[0]  # [feat_dim, frames]
        return latents.T.reshape(-1, self.config.patch_size, self.config.feat_dim)


def frames_of(latents: Tensor) -> Tensor:
    """Transpose latents `[rows, frames, feat_dim]` to the audio decoder's layout `[rows, feat_dim, frames]`."""
    return latents.transpose(1, 2)
