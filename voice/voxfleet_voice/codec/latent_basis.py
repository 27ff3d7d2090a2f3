"""Latents made by hand: principal components of the features, and the pitch step as a Gray code.

Knows: 29 half-whitened components and 3 bits, and the gains by which the language models see them.
Does not know: audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voxfleet_voice.teacher.hibari_voice import Floats
from voxfleet_voice.teacher.pitch import MIN_PERIODS, Periods
from voxfleet_voice.training.files import write_atomically

LATENTS: Final = 32
_GRAY: Final = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 1, 1]], np.float32) * 2 - 1
PITCH_BITS: Final = _GRAY.shape[1]
COMPONENTS: Final = LATENTS - PITCH_BITS
_BIT: Final = 0.8  # neighbouring pitch steps differ in one bit, so a wrong bit is a small error
_PITCH_GAIN: Final = 0.7


@dataclass(frozen=True, slots=True)
class LatentBasis:
    """A linear map from features to components, and gains that nearly whiten the latents."""

    mean: Floats  # [162]
    components: Floats  # [162, 29]
    scales: Floats  # [29]
    gains: Floats  # [32], codec latents x gains = what the language models read and write

    def encode(self, features: Floats, periods: Periods) -> Floats:
        """Return codec latents: [frames, 162] and [frames] -> [frames, 32]."""
        scaled = ((features.astype(np.float32) - self.mean) @ self.components) * self.scales
        return np.concatenate([scaled, _GRAY[periods - MIN_PERIODS] * _BIT], axis=1).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the basis."""
        arrays = {"mean": self.mean, "components": self.components, "scales": self.scales, "gains": self.gains}
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_basis(path: Path) -> LatentBasis:
    """Read a basis."""
    with np.load(path) as arrays:
        return LatentBasis(**{name: arrays[name] for name in ("mean", "components", "scales", "gains")})


def fit_basis(features: Floats) -> LatentBasis:
    """Fit to features [frames, 162]: each component is scaled half way to unit variance."""
    mean = features.mean(0)
    variances, vectors = np.linalg.eigh(np.cov((features - mean).T, dtype=np.float64))
    deviations = np.sqrt(variances[::-1][:COMPONENTS])
    vectors = vectors[:, ::-1][:, :COMPONENTS]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), np.arange(COMPONENTS)] < 0, -1, 1)
    scales = (deviations / deviations[0]) ** 0.5 / deviations
    gains = np.full(LATENTS, _PITCH_GAIN)
    gains[:COMPONENTS] = (deviations * scales) ** -0.5
    return LatentBasis(*(each.astype(np.float32) for each in (mean, vectors, scales, gains)))
