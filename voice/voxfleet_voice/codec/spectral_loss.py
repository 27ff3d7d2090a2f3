"""How far audio is from its target: complex spectra of two resolutions, their mel bands, and the samples themselves.

The teacher's phase is a function of the latents, so spectra are compared with their phase, and no discriminator is
needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from voxfleet_voice.codec.features import mel_filters
from voxfleet_voice.teacher.grid import SAMPLE_RATE_HZ

_RESOLUTIONS: Final = ((2048, 512, 80), (512, 128, 40))  # window and hop in samples, mel bands
_HIGHEST_HZ: Final = 11_500.0
_FLOOR: Final = 3e-3
_TINY: Final = 1e-9


class SpectralLoss:
    """The loss, with its windows and filters made once."""

    def __init__(self) -> None:
        """Make windows and filters."""
        self._windows = {window: torch.hann_window(window) for window, _, _ in _RESOLUTIONS}
        self._filters = {window: _filters(window, bands) for window, _, bands in _RESOLUTIONS}

    def __call__(self, made: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """[batch, samples] twice -> `total`, and the relative error of the samples, `l1`."""
        error = (made - target).abs().mean() / target.abs().mean()
        spectral = sum(self._at(made, target, window, hop) for window, hop, _ in _RESOLUTIONS)
        return {"total": spectral + 0.5 * error, "l1": error}

    def _at(self, made: Tensor, target: Tensor, window: int, hop: int) -> Tensor:
        """Compare at one resolution: spectra of [batch, bins, frames]."""
        ours, theirs = (
            torch.stft(each, window, hop, window=self._windows[window], return_complex=True, center=False)
            for each in (made, target)
        )
        loud, loud_target = _magnitude(ours), _magnitude(theirs)
        error = _magnitude(ours - theirs)
        bands = self._filters[window]
        mel = (torch.log(bands @ loud + _FLOOR) - torch.log(bands @ loud_target + _FLOOR)).abs().mean()
        relative = ((loud - loud_target).abs().sum() + error.sum()) / loud_target.sum()
        level = loud_target.mean(-1, keepdim=True) + 0.02
        return mel + 0.3 * relative + 0.3 * (error / level).mean()


def _magnitude(spectrum: Tensor) -> Tensor:
    return (spectrum.real.square() + spectrum.imag.square() + _TINY).sqrt()


def _filters(window: int, bands: int) -> Tensor:
    bin_hz = SAMPLE_RATE_HZ / window
    return torch.from_numpy(mel_filters(bands, 0, _HIGHEST_HZ, window // 2 + 1, bin_hz)) / bin_hz
