"""Bytes of a response -> samples, for every response format.

Knows: raw samples, and PyAV for everything with a header. Does not know: HTTP.
"""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_FULL_SCALE = 32_768


def decode(audio_format: str, data: bytes, pcm_rate_hz: int) -> tuple[NDArray[np.float32], int]:
    """Return mono samples and their rate in Hz; `pcm_rate_hz` is for pcm, which does not state its own.

    Raises:
        ValueError: `data` holds no audio.
    """
    if audio_format == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(_FULL_SCALE), pcm_rate_hz
    try:
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler("flt", "mono")
            frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
            frames += resampler.resample(None)
    except av.error.FFmpegError as error:
        raise ValueError(f"{len(data)} bytes are no {audio_format}: {error}") from error
    if not frames:
        raise ValueError(f"{len(data)} bytes of {audio_format} hold no audio")
    samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    return samples.astype(np.float32), int(frames[0].sample_rate)
