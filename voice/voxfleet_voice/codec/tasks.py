"""The codec's two training tasks: the decoder by spectra, then the encoder by regression onto the same latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from voxfleet_voice.codec.audio_vae import AudioVae
from voxfleet_voice.codec.spectral_loss import SpectralLoss
from voxfleet_voice.corpus.segments import Segments
from voxfleet_voice.teacher.grid import HOP_SAMPLES

_LATENT_NOISE: Final = 0.07  # makes the decoder forgive what LocDiT leaves
_DECODER_PAST_FRAMES: Final = 2  # a segment's first frames lack their past and are not judged
_ENCODER_PAST_FRAMES: Final = 3
_HELD_OUT_BATCHES: Final = 8


@dataclass(frozen=True, slots=True)
class DecoderTask:
    """Latents -> audio."""

    network: AudioVae
    segments: Segments
    held_out_segments: Segments
    loss: SpectralLoss
    name: str = "decoder"

    def trained(self) -> list[nn.Parameter]:
        """Only the decoder's."""
        return list(self.network.decoder.parameters())

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Decode noisy latents."""
        audio, latents = self.segments.at(step)
        return self._compare(audio, latents + _LATENT_NOISE * torch.randn_like(latents))

    def held_out(self) -> Mapping[str, float]:
        """Return the losses on unseen speech, without noise."""
        return _means([self._compare(*self.held_out_segments.at(step)) for step in range(_HELD_OUT_BATCHES)])

    def _compare(self, audio: Tensor, latents: Tensor) -> Mapping[str, Tensor]:
        start = _DECODER_PAST_FRAMES * HOP_SAMPLES
        made = self.network.decoder(latents)[:, 0]
        return self.loss(made[:, start:], audio[:, start:])


@dataclass(frozen=True, slots=True)
class EncoderTask:
    """Audio -> latents; `total` is the squared error, `relative` its share of the latents' power."""

    network: AudioVae
    segments: Segments
    held_out_segments: Segments
    name: str = "encoder"

    def trained(self) -> list[nn.Parameter]:
        """Only the encoder's; its variance is never used."""
        return [each for name, each in self.network.encoder.named_parameters() if "fc_logvar" not in name]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Encode audio."""
        return self._compare(*self.segments.at(step))

    def held_out(self) -> Mapping[str, float]:
        """Return the losses on unseen speech."""
        return _means([self._compare(*self.held_out_segments.at(step)) for step in range(_HELD_OUT_BATCHES)])

    def _compare(self, audio: Tensor, latents: Tensor) -> Mapping[str, Tensor]:
        error = (self.network.encoder(audio[:, None]) - latents)[..., _ENCODER_PAST_FRAMES:].square().mean()
        return {"total": error, "relative": error / latents.square().mean()}


def _means(figures: list[Mapping[str, Tensor]]) -> Mapping[str, float]:
    return {name: sum(each[name].item() for each in figures) / len(figures) for name in figures[0]}
