"""How exactly the audio codec computes on a GPU, and every switch that decides it.

Knows float32, TF32 (float32 whose products are of 10-bit mantissas) and bfloat16. PyTorch's defaults differ between
convolutions and matrices and between versions: here each is set, always. The encoder keeps float32's format; TF32, when
asked for, is for its products as well, because the switch is the whole process's.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from voxfleet_inference.model.audio_vae import AudioVae, StreamMemory

CodecDtype = Literal["fp32", "tf32", "bf16"]


class Bfloat16Codec(AudioVae):
    """A codec whose decoder computes in bfloat16; what streams remember stays where, and as, it is."""

    def __init__(self, vae: AudioVae) -> None:
        nn.Module.__init__(self)
        self.encoder, self.decoder = vae.encoder, vae.decoder.to(torch.bfloat16)

    def decode(self, frames: Tensor, memory: StreamMemory) -> Tensor:
        """`[rows, latent, frames]` to `[rows, samples]` float32 within [-1, 1]."""
        rounded = [part.to(torch.bfloat16) for part in memory]
        samples = super().decode(frames.to(torch.bfloat16), rounded)
        for part, changed in zip(memory, rounded, strict=True):
            part.copy_(changed)
        return samples.float()


def set_float32_products(dtype: CodecDtype) -> None:
    """TF32 in convolutions, which only the codec has, if asked for; never in matrices."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = dtype == "tf32"


def with_precision(vae: AudioVae, dtype: CodecDtype) -> AudioVae:
    """The codec, computing as asked."""
    set_float32_products(dtype)
    return Bfloat16Codec(vae) if dtype == "bf16" else vae
