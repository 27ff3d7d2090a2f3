"""Samples in, bytes of one format out, as they come.

Knows: PyAV, and how a WAV header says "length unknown".
Does not know: who listens, or where the samples come from.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from voxfleet_inference.audio.formats import AudioFormat, Codec

Samples = npt.NDArray[np.float32]
UNKNOWN_LENGTH: Final = 0xFFFFFFFF
WAV_HEADER_BYTES: Final = 44
_WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


class AudioEncoder(Protocol):
    """Makes one stream of one format."""

    def encode(self, samples: Samples) -> bytes:
        """Bytes that these samples complete; may be empty."""

    def finish(self) -> bytes:
        """The bytes that were still held back."""


def make_encoder(audio_format: AudioFormat, model_rate: int, sample_rate: int) -> AudioEncoder:
    """An encoder of a stream whose length is not known."""
    if audio_format.codec is not None:
        return CodecEncoder(audio_format.codec, model_rate, sample_rate)
    header = wav_header(sample_rate, None) if audio_format.name == "wav" else b""
    return RawEncoder(model_rate, sample_rate, header)


def wav_header(sample_rate: int, data_bytes: int | None) -> bytes:
    """The header of mono 16-bit WAV; without a length both sizes are 0xFFFFFFFF."""
    riff_bytes = UNKNOWN_LENGTH if data_bytes is None else data_bytes + WAV_HEADER_BYTES - 8
    data_size = UNKNOWN_LENGTH if data_bytes is None else data_bytes
    format_chunk = (b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return _WAV_HEADER.pack(b"RIFF", riff_bytes, b"WAVE", *format_chunk, b"data", data_size)


def with_exact_wav_length(wav: bytes, sample_rate: int) -> bytes:
    """A whole WAV file whose streamed header is replaced by one that tells its length."""
    return wav_header(sample_rate, len(wav) - WAV_HEADER_BYTES) + wav[WAV_HEADER_BYTES:]


def to_int16(samples: Samples) -> bytes:
    """Little-endian 16-bit samples; what is out of range is clipped."""
    scaled = np.clip(np.rint(samples * 32767.0), -32768, 32767)
    little_endian: bytes = scaled.astype("<i2").tobytes()
    return little_endian


class Resampler:
    """A streaming sample-rate converter; the same rate passes through untouched."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate = from_rate
        self._resampler = None if from_rate == to_rate else _swr(to_rate)

    def convert(self, samples: Samples) -> Samples:
        """The samples that are complete so far."""
        if self._resampler is None or not len(samples):
            return samples
        return _joined(self._resampler.resample(_frame(samples, self._from_rate)))

    def finish(self) -> Samples:
        """The tail that the filter held back."""
        return np.zeros(0, np.float32) if self._resampler is None else _joined(self._resampler.resample(None))


class RawEncoder:
    """16-bit samples, behind a header or bare."""

    def __init__(self, from_rate: int, to_rate: int, header: bytes) -> None:
        self._resampler = Resampler(from_rate, to_rate)
        self._header = header

    def encode(self, samples: Samples) -> bytes:
        """The header, once, and the samples."""
        header, self._header = self._header, b""
        return header + to_int16(self._resampler.convert(samples))

    def finish(self) -> bytes:
        """The resampler's tail."""
        header, self._header = self._header, b""
        return header + to_int16(self._resampler.finish())


class CodecEncoder:
    """A compressed format, muxed into memory."""

    def __init__(self, codec: Codec, from_rate: int, to_rate: int) -> None:
        import av  # noqa: PLC0415 - a tenth of a second that the start need not wait for

        self._written = _Written()
        self._from_rate = from_rate
        self._container = av.open(self._written, "w", format=codec.container, options=dict(codec.options))
        self._stream = self._container.add_stream(codec.name, rate=to_rate, layout="mono", format=codec.sample_format)
        if codec.bits_per_second is not None:
            self._stream.bit_rate = min(codec.bits_per_second, to_rate * 4)

    def encode(self, samples: Samples) -> bytes:
        """Bytes of the packets that these samples complete."""
        if not len(samples):
            return b""
        self._container.mux(self._stream.encode(_frame(samples, self._from_rate)))
        return self._written.take()

    def finish(self) -> bytes:
        """The last packets and the container's end."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.take()


class _Written:
    """A file that can only be appended to: nothing written earlier can be patched."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken


def _swr(to_rate: int) -> Any:
    import av  # noqa: PLC0415

    return av.AudioResampler(format="fltp", layout="mono", rate=to_rate)


def _frame(samples: Samples, sample_rate: int) -> Any:
    import av  # noqa: PLC0415

    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="fltp", layout="mono")
    frame.sample_rate = sample_rate
    return frame


def _joined(frames: list[Any]) -> Samples:
    parts = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
