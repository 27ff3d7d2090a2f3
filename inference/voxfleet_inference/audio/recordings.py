"""Decodes an uploaded recording to mono samples.

Knows: limits on duration, rate and channels, and the containers that are accepted: those that hold their audio
themselves, since a playlist would make FFmpeg open other files and URLs.
Does not know: voices, models or HTTP.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MIN_SECONDS: Final = 1.0
MAX_SECONDS: Final = 30.0
MIN_SAMPLE_RATE: Final = 8_000
MAX_SAMPLE_RATE: Final = 192_000
MAX_CHANNELS: Final = 8
_CONTAINERS: Final = (  # FFmpeg's names
    "wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,ogg,amr,ape,wv,tta,dsf,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,"
    "mpegts,mpeg,flv"
)
# Nothing but the bytes given is read: no protocol, and no references to other files (MP4 dref atoms).
_OPEN_OPTIONS: Final = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none", "enable_drefs": "0"}


class RecordingError(ValueError):
    """The recording cannot be used; the message names the limit."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Mono samples at the recording's own rate."""

    samples: npt.NDArray[np.float32]  # [samples]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration of the recording."""
        return len(self.samples) / self.sample_rate


def read_recording(data: bytes) -> Recording:
    """Decode a file, mix it to mono, and check the limits.

    Raises:
        RecordingError: no audio that can be decoded, or duration, rate or channels out of bounds.
    """
    import av  # noqa: PLC0415 - only requests with a recording need it

    try:
        with av.open(io.BytesIO(data), options=dict(_OPEN_OPTIONS)) as container:
            recording = _decode(container)
    except RecordingError:
        raise
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        raise RecordingError(f"{len(data)} bytes that are no audio file that can be decoded ({error})") from error
    if not MIN_SECONDS <= recording.seconds <= MAX_SECONDS:
        raise RecordingError(f"{recording.seconds:.2f} s long; the limits are {MIN_SECONDS:g} to {MAX_SECONDS:g} s")
    return recording


def _decode(container: Any) -> Recording:
    stream = container.streams.audio[0]
    sample_rate = stream.codec_context.sample_rate
    _check_limits(sample_rate, stream.codec_context.channels)
    planar = _planar_resampler(stream)
    parts: list[npt.NDArray[np.float32]] = []
    total = 0
    for frame in container.decode(stream):
        for converted in planar.resample(frame):
            parts.append(converted.to_ndarray().mean(axis=0, dtype=np.float32))  # [channels, n] -> [n]
            total += len(parts[-1])
        # Stop early: a small file may decode to hours.
        if total > (MAX_SECONDS + 1) * sample_rate:
            raise RecordingError(f"longer than {MAX_SECONDS:g} s; the limits are {MIN_SECONDS:g} to {MAX_SECONDS:g} s")
    return Recording(np.concatenate(parts) if parts else np.zeros(0, np.float32), sample_rate)


def _check_limits(sample_rate: int, channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise RecordingError(f"{sample_rate} Hz; the limits are {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RecordingError(f"{channels} channels; the limits are 1 to {MAX_CHANNELS}")


def _planar_resampler(stream: Any) -> Any:
    import av  # noqa: PLC0415

    return av.AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=stream.codec_context.sample_rate)
