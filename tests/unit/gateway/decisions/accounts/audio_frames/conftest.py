"""Files of the speech server's own encoders, as streams and as whole files, and where each of their frames ends."""

import io
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import av
import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS


@dataclass(frozen=True)
class Encoded:
    """One file; `ends` and `samples` are those of its frames, in order."""

    data: bytes
    ends: tuple[int, ...]
    samples: tuple[int, ...]
    rate: int

    def seconds_at(self, cut: int) -> float:
        """Return the length of the frames that are complete within so many bytes."""
        return sum(n for end, n in zip(self.ends, self.samples, strict=True) if end <= cut) / self.rate


def audio(seconds: float, rate: int) -> Any:
    """Tone, noise and silence, of which frames of very different sizes are made."""
    time = np.arange(int(seconds * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * 220 * time)
    noise = np.random.default_rng(7).normal(0, 0.2, len(time))
    third = len(time) // 3
    return np.concatenate([tone[:third], noise[third : 2 * third], np.zeros(len(time) - 2 * third)]).astype(np.float32)


def encode(name: str, rate: int, seconds: float, *, is_whole: bool = False) -> bytes:
    encoder = make_encoder(FORMATS[name], 44_100, rate, is_whole=is_whole)
    samples, step = audio(seconds, 44_100), 7056  # 160 ms
    pieces = [encoder.encode(samples[at : at + step]) for at in range(0, len(samples), step)]
    return b"".join([*pieces, encoder.finish()])


@cache
def encoded(name: str, rate: int, seconds: float, *, is_whole: bool = False) -> Encoded:
    """Encode, and find the frames with FFmpeg's demuxer."""
    data = encode(name, rate, seconds, is_whole=is_whole)
    if name == "opus":
        return Encoded(data, *_ogg_pages(data), rate)
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        sizes = [packet.size for packet in packets]
        durations = [round(float(packet.duration * packet.time_base) * rate) for packet in packets]
    begin = len(data) - sum(sizes)  # frames are contiguous, up to the end
    return Encoded(data, tuple(begin + end for end in accumulate(sizes)), tuple(durations), rate)


def _ogg_pages(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ends of all pages, and what FFmpeg decodes of the file up to each, less what it did before."""
    ends, decoded, at = [], [0], 0
    while at < len(data):
        at = data.find(b"OggS", at + 1)
        at = len(data) if at < 0 else at
        ends.append(at)
        decoded.append(decoded_samples(data[:at]) if len(ends) > 2 else 0)
    return tuple(ends), tuple(after - before for before, after in pairwise(decoded))


def decoded_samples(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.fixture(scope="session")
def files() -> Any:
    return encoded
