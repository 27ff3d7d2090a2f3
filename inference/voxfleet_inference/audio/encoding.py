"""Streaming encoders: samples in, bytes of one format out.

Knows: PyAV, and the WAV header of a stream of unknown length.
Does not know: HTTP, or where the samples come from.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from voxfleet_inference.audio.formats import AudioFormat, Codec

Samples = npt.NDArray[np.float32]
UNKNOWN_LENGTH: Final = 0xFFFFFFFF  # as FFmpeg writes it into streams; players then read to the end
WAV_HEADER_BYTES: Final = 44
_WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


class AudioEncoder(Protocol):
    """Encodes one stream."""

    def encode(self, samples: Samples) -> bytes:
        """Return the bytes that `samples` [n] complete; may be empty."""

    def finish(self) -> bytes:
        """Return the last bytes; no call may follow."""


def make_encoder(audio_format: AudioFormat, model_rate: int, sample_rate: int) -> AudioEncoder:
    """Return an encoder from the model's rate to `sample_rate`, of a stream whose length is unknown."""
    if audio_format.codec is not None:
        return CodecEncoder(audio_format.codec, model_rate, sample_rate)
    header = wav_header(sample_rate, None) if audio_format.name == "wav" else b""
    return RawEncoder(model_rate, sample_rate, header)


def wav_header(sample_rate: int, data_bytes: int | None) -> bytes:
    """Return the 44-byte header of mono 16-bit WAV; without a length both sizes are UNKNOWN_LENGTH."""
    riff_bytes = UNKNOWN_LENGTH if data_bytes is None else data_bytes + WAV_HEADER_BYTES - 8
    data_size = UNKNOWN_LENGTH if data_bytes is None else data_bytes
    # Size 16, PCM, 1 channel, rate, bytes per second, bytes per frame, bits.
    format_chunk = (b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return _WAV_HEADER.pack(b"RIFF", riff_bytes, b"WAVE", *format_chunk, b"data", data_size)


def with_exact_wav_length(wav: bytes, sample_rate: int) -> bytes:
    """Return a complete WAV file with its length in the header, in place of the header of a stream."""
    return wav_header(sample_rate, len(wav) - WAV_HEADER_BYTES) + wav[WAV_HEADER_BYTES:]


def to_int16(samples: Samples) -> bytes:
    """Return samples [n] as little-endian 16-bit integers; values outside [-1, 1] are clipped."""
    scaled = np.clip(np.rint(samples * 32767.0), -32768, 32767)
    little_endian: bytes = scaled.astype("<i2").tobytes()
    return little_endian


class Resampler:
    """Converts the sample rate of a stream; equal rates pass samples through bit for bit."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate = from_rate
        self._resampler = None if from_rate == to_rate else _swr(to_rate)

    def convert(self, samples: Samples) -> Samples:
        """Return the converted samples [m] that are complete so far."""
        if self._resampler is None or not len(samples):
            return samples
        return _joined(self._resampler.resample(_frame(samples, self._from_rate)))

    def finish(self) -> Samples:
        """Return the tail in the filter's delay line."""
        return np.zeros(0, np.float32) if self._resampler is None else _joined(self._resampler.resample(None))


class RawEncoder:
    """Encodes 16-bit samples, with a header (wav) or without (pcm)."""

    def __init__(self, from_rate: int, to_rate: int, header: bytes) -> None:
        self._resampler = Resampler(from_rate, to_rate)
        self._header = header

    def encode(self, samples: Samples) -> bytes:
        """Return the samples, the first ones after the header."""
        header, self._header = self._header, b""
        return header + to_int16(self._resampler.convert(samples))

    def finish(self) -> bytes:
        """Return the resampler's tail, and the header if there were no samples at all."""
        header, self._header = self._header, b""
        return header + to_int16(self._resampler.finish())


class CodecEncoder:
    """Encodes and muxes a compressed format in memory."""

    def __init__(self, codec: Codec, from_rate: int, to_rate: int) -> None:
        import av  # noqa: PLC0415 - takes 0.1 s, which the server's start does not need

        self._written = _AppendOnlyFile()
        self._from_rate = from_rate
        self._container = av.open(self._written, "w", format=codec.container, options=dict(codec.options))
        self._stream = self._container.add_stream(codec.name, rate=to_rate, layout="mono", format=codec.sample_format)
        if codec.bits_per_second is not None:
            # At most 4 bits per sample: low sample rates allow no more in MP3 (64 kbit/s at 8 kHz).
            self._stream.bit_rate = min(codec.bits_per_second, to_rate * 4)

    def encode(self, samples: Samples) -> bytes:
        """Return the packets that `samples` complete."""
        if not len(samples):
            return b""
        self._container.mux(self._stream.encode(_frame(samples, self._from_rate)))
        return self._written.take()

    def finish(self) -> bytes:
        """Return the last packets and the end of the container."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.take()


class _AppendOnlyFile:
    """A file without seek, so that FFmpeg never patches bytes that were sent already."""

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
