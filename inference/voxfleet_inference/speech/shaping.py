"""The edges of a sentence's audio: silence at its end, and the fade of one that was cut.

Knows: samples.
Does not know: sentences, patches or why.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FADE_SECONDS: Final = 0.010
SILENCE_PEAK: Final = 0.01  # -40 dB of full scale: below it nothing is heard beside speech
_NEAR_THE_END: Final = 256  # samples

Float32Array = npt.NDArray[np.float32]


def faded_out(samples: Float32Array, sample_rate: int) -> Float32Array:
    """A copy whose last 10 ms go down to zero along half a cosine."""
    length = min(len(samples), round(FADE_SECONDS * sample_rate))
    faded = samples.copy()
    if length:
        ramp = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, length + 1) / length)  # [length], its last value 0
        faded[-length:] *= ramp.astype(np.float32)
    return faded


def trailing_silence_after(silence_before: int, samples: Float32Array) -> int:
    """Silent samples at the end of speech that ended with `silence_before` of them, once `samples` followed."""
    for part in (samples[-_NEAR_THE_END:], samples):  # speech that goes on shows it soon
        loud_from_the_end = np.abs(part[::-1]) > SILENCE_PEAK
        if loud_from_the_end.any():
            return int(loud_from_the_end.argmax())
    return silence_before + len(samples)


def silence(seconds: float, sample_rate: int) -> Float32Array:
    """Nothing, for so long."""
    return np.zeros(round(seconds * sample_rate), dtype=np.float32)
