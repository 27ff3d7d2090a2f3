"""Seconds of audio that the first n bytes of a response complete.

Knows: raw samples, WAV headers, and PyAV's packets of compressed formats.
Does not know: HTTP, or when the bytes arrived.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from voxfleet_inference.audio.formats import FORMATS

SecondsIn = Callable[[int], float]  # bytes from the start -> seconds of audio that they complete
_BITS_PER_BYTE: Final = 8
# How much of a body the clock needs; other formats need all of it.
KEPT_BYTES: Final = {each.name: 0 for each in FORMATS.values() if each.sample_bytes} | {"wav": 4096}


def seconds_in(audio_format: str, data: bytes, pcm_rate: int) -> SecondsIn:
    """Return the clock of one response; `data` is its first KEPT_BYTES, or all of it.

    Raises:
        ValueError: `data` is no audio of that format.
    """
    if sample_bytes := FORMATS[audio_format].sample_bytes:
        return lambda length: length // sample_bytes / pcm_rate
    if audio_format == "wav":
        return _wav_clock(data)
    return _packet_clock(data)


def _wav_clock(data: bytes) -> SecondsIn:
    layout, start = data.find(b"fmt "), data.find(b"data")
    if not data.startswith(b"RIFF") or layout < 0 or start < 0:
        raise ValueError("no WAV header")
    # RIFF: the 16 bytes after "fmt " and its size are tag, channels, rate, bytes per second, block size, bits.
    channels, rate, _, _, bits = struct.unpack_from("<HIIHH", data, layout + 10)
    header_bytes, second_bytes = start + 8, channels * rate * bits // _BITS_PER_BYTE
    if not second_bytes:
        raise ValueError("a WAV header without channels, rate or bits")
    return lambda length: max(0, length - header_bytes) / second_bytes


def _packet_clock(data: bytes) -> SecondsIn:
    """Return the clock of a compressed format: a packet counts once its last byte arrived."""
    import av  # noqa: PLC0415 - only compressed formats need it

    ends, seconds = [0], [0.0]
    try:
        with av.open(io.BytesIO(data)) as container:
            for packet in container.demux(audio=0):
                if packet.size and packet.pos is not None and packet.duration:
                    ends.append(max(ends[-1], packet.pos + packet.size))
                    seconds.append(seconds[-1] + float(packet.duration * packet.time_base))
    except av.error.FFmpegError as error:
        raise ValueError(f"not decodable: {error}") from error
    return lambda length: seconds[bisect_right(ends, length) - 1]
