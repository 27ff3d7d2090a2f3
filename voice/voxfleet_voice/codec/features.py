"""Parameters -> log band energies on the latent grid, what the latents are made from.

Knows: 40 bands of the harmonic filter and 14 of the noise, three sub-frames in a latent frame.
Does not know: the delay of the audio, pitch, or principal components.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxfleet_voice.teacher.grid import LAG_SUBFRAMES, SUBFRAMES
from voxfleet_voice.teacher.hibari_voice import Floats, Parameters
from voxfleet_voice.teacher.synthesis import MAX_LOG_MAGNITUDE, voicing

FLOOR: Final = 3e-5  # energy of silence
_BIN_HZ: Final = 20.0
_BINS: Final = 601


def mel_filters(bands: int, low_hz: float, high_hz: float, bins: int = _BINS, bin_hz: float = _BIN_HZ) -> Floats:
    """Return triangular filters of equal width in mel, each with sum 1: [bands, bins]."""
    low, high = (1127 * np.log1p(hz / 700) for hz in (low_hz, high_hz))
    edges = 700 * np.expm1(np.linspace(low, high, bands + 2) / 1127)
    hz = np.arange(bins) * bin_hz
    rising = (hz - edges[:-2, None]) / np.diff(edges[:-1])[:, None]
    falling = (edges[2:, None] - hz) / np.diff(edges[1:])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    filters: Floats = (weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)).astype(np.float32)
    return filters


_HARMONIC_BANDS: Final = mel_filters(40, 60, 11_000)
_NOISE_BANDS: Final = mel_filters(14, 200, 11_800)
_SUBFRAME_FEATURES: Final = len(_HARMONIC_BANDS) + len(_NOISE_BANDS)
FEATURES: Final = SUBFRAMES * _SUBFRAME_FEATURES  # 162


def features_of(parameters: Parameters) -> Floats:
    """Return log energies, on as many frames as the audio has: [frames, 162]."""
    gain = voicing(parameters.pitch_hz)[:, None] ** 2
    harmonic = _energies(parameters.harmonic, _HARMONIC_BANDS, gain)
    noise = _energies(parameters.noise, _NOISE_BANDS, 4.0)
    found = np.concatenate([harmonic, noise], axis=1)  # [rows, 54]
    frames = -(-(len(found) + LAG_SUBFRAMES) // SUBFRAMES)
    silence = np.full((SUBFRAMES * frames - len(found), _SUBFRAME_FEATURES), np.log(FLOOR), np.float32)
    return np.concatenate([found, silence]).reshape(frames, FEATURES).astype(np.float32)


def _energies(log_magnitude: Floats, bands: Floats, gain: NDArray[np.float32] | float) -> Floats:
    energy = np.exp(2 * np.minimum(log_magnitude, MAX_LOG_MAGNITUDE)) * gain
    logarithms: Floats = np.log(energy @ bands.T + FLOOR)
    return logarithms
