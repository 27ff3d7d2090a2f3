"""Encoders: samples in, bytes of one format out, while they are made or as one whole file.

Knows: PyAV, the WAV header, and what headers state of a file but not of a stream.
Does not know: HTTP, or where the samples come from.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from fractions import Fraction
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


def make_encoder(
    audio_format: AudioFormat, model_rate: int, sample_rate: int, *, is_whole: bool = False, stream_number: int = 0
) -> AudioEncoder:
    """Return an encoder from the model's rate to `sample_rate`.

    Args:
        audio_format: what to encode to.
        model_rate: the rate of the samples that it takes.
        sample_rate: the rate of what it returns.
        is_whole: return nothing before the end, then a file whose header states what the format can: its length, the
            delay of its encoder, a hash.
        stream_number: what an Ogg stream is numbered; streams that follow in one file differ in it (RFC 3533, 4).
    """
    if (codec := audio_format.codec) is not None:
        if codec.container == "ogg":
            codec = replace(codec, options=(*codec.options, ("serial_offset", str(stream_number))))
        return CodecEncoder(codec, model_rate, sample_rate, is_whole=is_whole)
    if audio_format.name == "pcm":
        return RawEncoder(model_rate, sample_rate, b"")
    return WavFileEncoder(model_rate, sample_rate) if is_whole else wav_stream_encoder(model_rate, sample_rate)


def wav_header(sample_rate: int, data_bytes: int | None) -> bytes:
    """Return the 44-byte header of mono 16-bit WAV; without a length, or with one too long, it is UNKNOWN_LENGTH."""
    is_known = data_bytes is not None and data_bytes + WAV_HEADER_BYTES < UNKNOWN_LENGTH
    riff_bytes = data_bytes + WAV_HEADER_BYTES - 8 if data_bytes is not None and is_known else UNKNOWN_LENGTH
    data_size = data_bytes if data_bytes is not None and is_known else UNKNOWN_LENGTH
    # Size 16, PCM, 1 channel, rate, bytes per second, bytes per frame, bits.
    format_chunk = (b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return _WAV_HEADER.pack(b"RIFF", riff_bytes, b"WAVE", *format_chunk, b"data", data_size)


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


def wav_stream_encoder(from_rate: int, to_rate: int) -> RawEncoder:
    """Return an encoder of WAV that is sent while it is made."""
    return RawEncoder(from_rate, to_rate, wav_header(to_rate, None))


class WavFileEncoder:
    """Encodes a WAV file with its length; returns all of it at the end."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._samples, self._to_rate = RawEncoder(from_rate, to_rate, b""), to_rate
        self._data = bytearray()

    def encode(self, samples: Samples) -> bytes:
        """Keep the samples; return nothing."""
        self._data += self._samples.encode(samples)
        return b""

    def finish(self) -> bytes:
        """Return the file."""
        self._data += self._samples.finish()
        return wav_header(self._to_rate, len(self._data)) + bytes(self._data)


class CodecEncoder:
    """Encodes and muxes a compressed format in memory; a whole file is returned at the end, its header complete."""

    def __init__(self, codec: Codec, from_rate: int, to_rate: int, *, is_whole: bool = False) -> None:
        import av  # noqa: PLC0415 - takes 0.1 s, which the server's start does not need

        self._written: _AppendOnlyFile | _File = _File() if is_whole else _AppendOnlyFile()
        self._from_rate = from_rate
        self._samples = 0  # taken so far
        options = dict(codec.options if is_whole else codec.options + codec.stream_options)
        self._container = av.open(self._written, "w", format=codec.container, options=options)
        self._stream = self._container.add_stream(codec.name, rate=to_rate, layout="mono", format=codec.sample_format)
        if codec.bits_per_second is not None:
            # At most 4 bits per sample: low sample rates allow no more in MP3 (64 kbit/s at 8 kHz).
            self._stream.bit_rate = min(codec.bits_per_second, to_rate * 4)

    def encode(self, samples: Samples) -> bytes:
        """Return the packets that `samples` complete."""
        if not len(samples):
            return b""
        frame = _frame(samples, self._from_rate)
        # Without times the muxer begins at zero and counts an encoder's delay twice (RFC 7845, 4).
        frame.pts, frame.time_base = self._samples, Fraction(1, self._from_rate)
        self._samples += len(samples)
        self._container.mux(self._stream.encode(frame))
        return self._written.take()

    def finish(self) -> bytes:
        """Return the last packets and the end of the container."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.take(is_complete=True)


class _AppendOnlyFile:
    """A file without seek, so that FFmpeg never patches bytes that were sent already."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self, *, is_complete: bool = False) -> bytes:  # noqa: ARG002 - as a whole file
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken


class _File(io.BytesIO):
    """A file that FFmpeg may go back in, to complete its header; nothing of it can be taken before."""

    def take(self, *, is_complete: bool = False) -> bytes:
        return self.getvalue() if is_complete else b""


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
