"""Short segments of recordings with their latents, as batches for the codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxfleet_voice.codec.latent_basis import LatentBasis
from voxfleet_voice.corpus.recordings import Recording
from voxfleet_voice.teacher.grid import HOP_SAMPLES
from voxfleet_voice.teacher.hibari_voice import Floats
from voxfleet_voice.training.seeds import seed_of

SEGMENT_FRAMES: Final = 14  # 0.56 s
_PCM: Final = 32767.0


@dataclass(frozen=True, slots=True)
class _Source:
    audio: NDArray[np.int16]
    latents: Floats


class Segments:
    """Draws segments by the number of the step; every frame is about equally likely."""

    def __init__(self, recordings: list[Recording], basis: LatentBasis, batch: int, seed: int) -> None:
        """Encode all recordings; those shorter than a segment are prolonged by their last frame."""
        self._sources = [_prolonged(each, basis) for each in recordings]
        lengths = np.array([len(source.latents) for source in self._sources], float)
        self._shares = lengths / lengths.sum()
        self._batch, self._seed = batch, seed

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return audio [batch, 14 x 1764] and latents [batch, 32, 14]."""
        random = np.random.default_rng(seed_of("segments", self._seed, step))
        chosen = random.choice(len(self._sources), self._batch, p=self._shares)
        pieces = [_piece(self._sources[index], random) for index in chosen]
        audio = torch.from_numpy(np.stack([audio for audio, _ in pieces])).float() / _PCM
        latents = torch.from_numpy(np.stack([latents for _, latents in pieces]))
        return audio, latents.transpose(1, 2).contiguous()


def _prolonged(recording: Recording, basis: LatentBasis) -> _Source:
    latents = basis.encode(recording.features, recording.periods)
    more = max(0, SEGMENT_FRAMES - len(latents))
    return _Source(np.pad(recording.audio, (0, more * HOP_SAMPLES)), np.pad(latents, ((0, more), (0, 0)), mode="edge"))


def _piece(source: _Source, random: np.random.Generator) -> tuple[NDArray[np.int16], Floats]:
    start = int(random.integers(0, len(source.latents) - SEGMENT_FRAMES + 1))
    stop = start + SEGMENT_FRAMES
    return source.audio[start * HOP_SAMPLES : stop * HOP_SAMPLES], source.latents[start:stop]
