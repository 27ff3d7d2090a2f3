"""Pitch on the latent grid: a whole number of periods in every latent frame.

A frame of 40 ms with n periods has a pitch of 25 n Hz, so intonation moves in steps of 25 Hz, with a glide inside the
frame where it changes. The phase is the same at every frame's start: that is what makes the waveform a function of the
latents, and a decoder learnable without adversarial losses.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxfleet_voice.teacher.grid import FRAME_SAMPLES, FRAMES_PER_SECOND, SUBFRAMES

MIN_PERIODS: Final = 6  # 150 Hz
MAX_PERIODS: Final = 11  # 275 Hz
_VOICED_HZ: Final = 90.0
_SWITCH: Final = 0.6  # periods; a smaller distance from the present step is no change, against flutter
_SILENCE_PERIODS: Final = 8

Periods = NDArray[np.int64]


def periods_per_frame(pitch_hz: NDArray[np.float32]) -> Periods:
    """Round the mean pitch of each frame's voiced sub-frames, [3 frames] in Hz -> [frames]; the unvoiced look ahead."""
    by_frame = pitch_hz.reshape(-1, SUBFRAMES)
    periods = np.zeros(len(by_frame), np.int64)
    present: int | None = None
    for frame, values in enumerate(by_frame):
        voiced = values[values > _VOICED_HZ]
        if not len(voiced):
            continue
        exact = float(voiced.mean()) / FRAMES_PER_SECOND
        if present is None or abs(exact - present) > _SWITCH:
            present = int(np.clip(round(exact), MIN_PERIODS, MAX_PERIODS))
        periods[frame] = present
    return _filled(periods)


def _filled(periods: Periods) -> Periods:
    """Give an unvoiced frame the next voiced value, or the last one at the end."""
    (voiced,) = np.nonzero(periods)
    if not len(voiced):
        return np.full_like(periods, _SILENCE_PERIODS)
    nearest = np.searchsorted(voiced, np.arange(len(periods))).clip(0, len(voiced) - 1)
    filled: Periods = periods[voiced[nearest]]
    return filled


def phase_and_pitch(periods: Periods) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return phase in periods and pitch in Hz for each sample at 24 kHz: two arrays of [frames x 960].

    Inside a frame the phase is a cubic: from 0 to n, with slope n_before at the start and n at the end.
    """
    time = (np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)[None]  # of a frame, [1, 960]
    now = periods[:, None].astype(np.float64)  # [frames, 1]
    before = np.concatenate([now[:1], now[:-1]])
    phase = before * time + (2 * now - 2 * before) * time**2 + (before - now) * time**3
    slope = before + 2 * (2 * now - 2 * before) * time + 3 * (before - now) * time**2
    return phase.ravel(), slope.ravel() * FRAMES_PER_SECOND
