"""Shapes the edges of a sentence's audio: silence at its end, and the fade of a truncated one.

Knows: samples.
Does not know: sentences or patches.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FADE_SECONDS: Final = 0.010  # long enough that the cut does not click, too short to lose a sound
SILENCE_PEAK: Final = 0.01  # -40 dB of full scale: inaudible beside speech
_TAIL_SAMPLES: Final = 256

Float32Array = npt.NDArray[np.float32]


def faded_out(samples: Float32Array, sample_rate: int) -> Float32Array:
    """Return a copy of samples [n] whose last 10 ms fall to zero along half a cosine."""
    length = min(len(samples), round(FADE_SECONDS * sample_rate))
    faded = samples.copy()
    if length:
        ramp = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, length + 1) / length)  # [length], its last value 0
        faded[-length:] *= ramp.astype(np.float32)
    return faded


def trailing_silence_after(silence_before: int, samples: Float32Array) -> int:
    """Return how many samples at the end of a speech are silent, after `samples` [n] were added to it.

    Args:
        silence_before: silent samples at the end of the speech so far.
        samples: what is added.
    """
    # In the middle of speech the tail decides, so the whole patch is searched only near a sentence's end.
    for part in (samples[-_TAIL_SAMPLES:], samples):
        loud_from_the_end = np.abs(part[::-1]) > SILENCE_PEAK
        if loud_from_the_end.any():
            return int(loud_from_the_end.argmax())
    return silence_before + len(samples)


def silence(seconds: float, sample_rate: int) -> Float32Array:
    """Return samples [seconds * sample_rate] of zeros, none for negative seconds."""
    return np.zeros(max(0, round(seconds * sample_rate)), dtype=np.float32)
