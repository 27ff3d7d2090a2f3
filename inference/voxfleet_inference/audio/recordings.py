"""Decodes an uploaded recording to mono samples.

Knows: limits on duration, rate, channels and level, and the containers that are accepted: those that hold their audio
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
MIN_LEVEL_DBFS: Final = -60.0  # of speech over all of it; a quiet speaker far from a microphone is at -45
MAX_CLIPPED: Final = 0.01  # of the samples; loud mastered speech has a tenth of that
_FULL_SCALE: Final = 0.999
_LEAST_POWER: Final = 1e-12  # -120 dB: silence has a level too
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
    clipped: float = 0.0  # part of the samples, 0 to 1, of which a channel is at full scale

    @property
    def seconds(self) -> float:
        """Duration of the recording."""
        return len(self.samples) / self.sample_rate

    @property
    def level_dbfs(self) -> float:
        """Its level in decibels of full scale, the root of the mean square; -120 for silence."""
        return float(10 * np.log10(np.mean(np.square(self.samples), dtype=np.float64) + _LEAST_POWER))


def read_recording(data: bytes) -> Recording:
    """Decode a file, mix it to mono, and check the limits.

    Raises:
        RecordingError: no audio that can be decoded, or duration, rate, channels or level out of bounds.
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
    _check_level(recording)
    return recording


def _check_level(recording: Recording) -> None:
    if recording.level_dbfs < MIN_LEVEL_DBFS:
        raise RecordingError(
            f"silent: its level is {recording.level_dbfs:.0f} dB of full scale, and speech needs {MIN_LEVEL_DBFS:.0f};"
            " record it nearer to the microphone"
        )
    if recording.clipped > MAX_CLIPPED:
        raise RecordingError(
            f"clipped: {recording.clipped:.1%} of its samples are at full scale, and at most {MAX_CLIPPED:.0%} may be;"
            " record it at a lower level"
        )


def _decode(container: Any) -> Recording:
    stream = container.streams.audio[0]
    sample_rate = stream.codec_context.sample_rate
    _check_limits(sample_rate, stream.codec_context.channels)
    planar = _planar_resampler(stream)
    parts: list[npt.NDArray[np.float32]] = []
    total, clipped = 0, 0
    for frame in container.decode(stream):
        for converted in planar.resample(frame):
            channels = converted.to_ndarray()  # [channels, n]
            parts.append(channels.mean(axis=0, dtype=np.float32))  # [n]
            clipped += int(np.count_nonzero(np.abs(channels).max(axis=0) >= _FULL_SCALE))
            total += len(parts[-1])
        # Stop early: a small file may decode to hours.
        if total > (MAX_SECONDS + 1) * sample_rate:
            raise RecordingError(f"longer than {MAX_SECONDS:g} s; the limits are {MIN_SECONDS:g} to {MAX_SECONDS:g} s")
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return Recording(samples, sample_rate, clipped / max(1, total))


def _check_limits(sample_rate: int, channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise RecordingError(f"{sample_rate} Hz; the limits are {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RecordingError(f"{channels} channels; the limits are 1 to {MAX_CHANNELS}")


def _planar_resampler(stream: Any) -> Any:
    import av  # noqa: PLC0415

    return av.AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=stream.codec_context.sample_rate)
