"""How loud a sentence is, 10 ms at a time, taken while its audio is made.

Knows: samples. Does not know: words.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FRAME_SECONDS: Final = 0.010
_FLOOR: Final = 1e-6

Floats = npt.NDArray[np.float64]


class Loudness:
    """The level of one sentence's audio."""

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(sample_rate * FRAME_SECONDS)
        self._seconds = self._frame / sample_rate
        self._left = np.zeros(0, np.float32)
        self._levels: list[Floats] = []

    @property
    def frame_seconds(self) -> float:
        """The length of a frame."""
        return self._seconds

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Measure the next samples [n]; what is left of a frame waits for the next ones."""
        joined = np.concatenate([self._left, samples])
        whole = len(joined) // self._frame * self._frame
        self._left = joined[whole:]
        frames = joined[:whole].reshape(-1, self._frame).astype(np.float64)  # [frames, samples of one]
        self._levels.append(20 * np.log10(np.sqrt((frames**2).mean(axis=1)) + _FLOOR))

    def decibels(self) -> Floats:
        """Return the level of each frame [frames] in dB of full scale."""
        return np.concatenate(self._levels) if self._levels else np.zeros(0)
