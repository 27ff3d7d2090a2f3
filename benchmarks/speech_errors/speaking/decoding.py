"""Bytes of a response -> samples, for every response format.

Knows: raw samples, and PyAV for everything with a header. Does not know: HTTP.
"""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw")
_TELEPHONE = frozenset({"mulaw", "alaw"})  # G.711 without a header
_FULL_SCALE = 32_768


def decode(audio_format: str, data: bytes, raw_rate_hz: int) -> tuple[NDArray[np.float32], int]:
    """Return mono samples and their rate in Hz; `raw_rate_hz` is for formats without a header.

    Raises:
        ValueError: `data` holds no audio.
    """
    if audio_format == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(_FULL_SCALE), raw_rate_hz
    raw = {"format": audio_format, "options": {"sample_rate": str(raw_rate_hz)}} if audio_format in _TELEPHONE else {}
    try:
        with av.open(io.BytesIO(data), **raw) as container:
            resampler = av.AudioResampler("flt", "mono")
            frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
            frames += resampler.resample(None)
    except av.error.FFmpegError as error:
        raise ValueError(f"{len(data)} bytes are no {audio_format}: {error}") from error
    if not frames:
        raise ValueError(f"{len(data)} bytes of {audio_format} hold no audio")
    samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    return samples.astype(np.float32), int(frames[0].sample_rate)
