"""An uploaded recording in any container that PyAV reads, as mono samples.

Knows: bounds on length, rate and channels, which kinds of file are sound, and what to say when one is not. Playlists
and the like, which make FFmpeg open other files and addresses, are not among those kinds.
Does not know: voices, models or where the bytes came from.
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
_FILE_KINDS: Final = (  # FFmpeg's names; all of them hold their sound themselves
    "wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,ogg,amr,ape,wv,tta,dsf,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,"
    "mpegts,mpeg,flv"
)
_OPENING: Final = {"format_whitelist": _FILE_KINDS, "protocol_whitelist": "none", "enable_drefs": "0"}


class RecordingError(ValueError):
    """A recording that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Mono samples at the rate in which they came."""

    samples: npt.NDArray[np.float32]  # [samples]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


def read_recording(data: bytes) -> Recording:
    """Decode, mix to mono, and check the length.

    Raises:
        RecordingError: no sound in it, or too short or too long.
    """
    import av  # noqa: PLC0415 - only requests with a recording need it

    try:
        with av.open(io.BytesIO(data), options=dict(_OPENING)) as container:
            recording = _decode(container)
    except RecordingError:
        raise
    except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
        raise RecordingError(f"{len(data)} bytes that are no audio file we can read ({error})") from error
    if not MIN_SECONDS <= recording.seconds <= MAX_SECONDS:
        raise RecordingError(f"{recording.seconds:.2f} s long; {MIN_SECONDS:g} to {MAX_SECONDS:g} s are taken")
    return recording


def _decode(container: Any) -> Recording:
    stream = container.streams.audio[0]
    sample_rate = stream.codec_context.sample_rate
    _check_form(sample_rate, stream.codec_context.channels)
    planar = _planar_resampler(stream)
    parts: list[npt.NDArray[np.float32]] = []
    total = 0
    for frame in container.decode(stream):
        for converted in planar.resample(frame):
            parts.append(converted.to_ndarray().mean(axis=0, dtype=np.float32))  # [channels, n] -> [n]
            total += len(parts[-1])
        if total > (MAX_SECONDS + 1) * sample_rate:
            raise RecordingError(f"longer than {MAX_SECONDS:g} s; {MIN_SECONDS:g} to {MAX_SECONDS:g} s are taken")
    return Recording(np.concatenate(parts) if parts else np.zeros(0, np.float32), sample_rate)


def _check_form(sample_rate: int, channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise RecordingError(f"{sample_rate} Hz; {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are taken")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RecordingError(f"{channels} channels; 1 to {MAX_CHANNELS} are taken")


def _planar_resampler(stream: Any) -> Any:
    import av  # noqa: PLC0415

    return av.AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=stream.codec_context.sample_rate)
