"""The precision of the audio codec on a GPU.

Knows: float32, TF32 (float32 whose products have 10-bit mantissas) and bfloat16. PyTorch's defaults differ between
convolutions and matrices and between versions, so every setting is set here explicitly. The encoder is never bfloat16;
TF32 applies to its products as well, because the setting belongs to the process.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from voxfleet_inference.model.audio_vae import AudioVae, CodecState

CodecDtype = Literal["fp32", "tf32", "bf16"]


class Bfloat16Codec(AudioVae):
    """A codec whose decoder computes in bfloat16; the CodecState stays in float32, at the same address."""

    def __init__(self, vae: AudioVae) -> None:
        nn.Module.__init__(self)
        self.encoder, self.decoder = vae.encoder, vae.decoder.to(torch.bfloat16)

    def decode(self, frames: Tensor, state: CodecState) -> Tensor:
        """Decode `[rows, latent, frames]` to `[rows, samples]` float32 within [-1, 1]."""
        rounded = [part.to(torch.bfloat16) for part in state]
        samples = super().decode(frames.to(torch.bfloat16), rounded)
        for part, changed in zip(state, rounded, strict=True):
            part.copy_(changed)
        return samples.float()


def set_tf32(dtype: CodecDtype) -> None:
    """Allow TF32 in convolutions, which only the codec has, if `dtype` is "tf32"; never in matrix products."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = dtype == "tf32"


def with_precision(vae: AudioVae, dtype: CodecDtype) -> AudioVae:
    """Return the codec in the given precision, and set PyTorch's settings for it."""
    set_tf32(dtype)
    return Bfloat16Codec(vae) if dtype == "bf16" else vae
