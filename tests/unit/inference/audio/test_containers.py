"""What a file's header says, against what two decoders make of it: PyAV (FFmpeg) and soundfile (libsndfile).

The headers themselves are read here by their specifications: FLAC (RFC 9639, 8.2), Ogg Opus (RFC 3533, 7845), LAME's
Info tag.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from voxfleet_inference.audio.encoding import Resampler, make_encoder, wav_header
from voxfleet_inference.audio.formats import FORMATS

MODEL_RATE, PATCH = 44100, 7056
LENGTHS = (400, 777, PATCH, 2 * MODEL_RATE, 3 * PATCH + 333)  # samples; the last one ends within a frame of every codec
RATES = {"mp3": (44100, 48000, 24000, 8000), "flac": (44100, 22050), "wav": (44100, 16000), "opus": (48000,)}
CASES = [(name, rate, length) for name, rates in RATES.items() for rate in rates for length in LENGTHS]


def tone(length: int) -> Any:
    return (0.3 * np.sin(np.arange(length) * 0.05)).astype(np.float32)


def encoded(name: str, rate: int, length: int, *, is_whole: bool) -> bytes:
    encoder = make_encoder(FORMATS[name], MODEL_RATE, rate, is_whole=is_whole)
    samples = tone(length)
    parts = [encoder.encode(samples[at : at + PATCH]) for at in range(0, length, PATCH)]
    assert not is_whole or not any(parts)
    return b"".join([*parts, encoder.finish()])


def resampled_length(rate: int, length: int) -> int:
    resampler = Resampler(MODEL_RATE, rate)
    return len(resampler.convert(tone(length))) + len(resampler.finish())


def decoded_by_av(data: bytes) -> tuple[int, int]:
    """Return the rate, and the number of samples after what the container says to skip."""
    with av.open(io.BytesIO(data)) as container:
        return container.streams.audio[0].rate, sum(frame.samples for frame in container.decode(audio=0))


def decoded_by_soundfile(data: bytes) -> tuple[int, int]:
    with soundfile.SoundFile(io.BytesIO(data)) as opened:
        return opened.samplerate, len(opened.read(10 * MODEL_RATE))


@pytest.mark.parametrize("read", [decoded_by_av, decoded_by_soundfile])
@pytest.mark.parametrize(("name", "rate", "length"), CASES)
def test_a_whole_file_has_exactly_its_samples(name: str, rate: int, length: int, read: Any) -> None:
    assert read(encoded(name, rate, length, is_whole=True)) == (rate, resampled_length(rate, length))


@pytest.mark.parametrize(("name", "rate", "length"), [case for case in CASES if case[0] != "mp3"])
def test_a_stream_has_exactly_its_samples(name: str, rate: int, length: int) -> None:
    """Without a header of the file, an MP3 stream has its encoder's delay too (test_encoding)."""
    data = encoded(name, rate, length, is_whole=False)
    assert decoded_by_av(data) == (rate, resampled_length(rate, length))
    if name != "flac":  # libsndfile seeks to the end of FLAC, which is unknown
        assert decoded_by_soundfile(data) == (rate, resampled_length(rate, length))


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize(("rate", "length"), [(44100, 2 * MODEL_RATE), (24000, 3 * PATCH + 333), (16000, 400)])
def test_aac_has_at_most_two_frames_more(rate: int, length: int, *, is_whole: bool) -> None:
    """ADTS has no header of the file: nothing can say what the encoder's frames add."""
    got_rate, got = decoded_by_av(encoded("aac", rate, length, is_whole=is_whole))
    assert got_rate == rate
    assert 0 <= got - resampled_length(rate, length) <= 2 * 1024


@pytest.mark.parametrize("length", LENGTHS)
def test_a_whole_flac_states_its_length_and_the_md5_of_its_samples(length: int) -> None:
    data = encoded("flac", MODEL_RATE, length, is_whole=True)
    stream_info = data[8 : 8 + 34]
    assert (data[:4], data[4] & 0x7F) == (b"fLaC", 0)
    packed = int.from_bytes(stream_info[10:18], "big")
    assert (packed >> 44, packed & (2**36 - 1)) == (MODEL_RATE, length)
    with soundfile.SoundFile(io.BytesIO(data)) as opened:
        assert opened.frames == length
        samples = opened.read(dtype="int16")
    assert stream_info[18:34] == hashlib.md5(samples.astype("<i2").tobytes(), usedforsecurity=False).digest()


@dataclass(frozen=True)
class InfoTag:
    frames: int
    audio_bytes: int
    delay: int
    padding: int


def info_tag(mp3: bytes) -> InfoTag:
    """Read the tag of the first frame, whose audio is silence that decoders skip."""
    assert mp3[0] == 0xFF
    assert mp3[1] & 0xE0 == 0xE0
    at = mp3.index(b"Info", 0, 64)  # Info: constant bit rate; Xing: a variable one
    flags, frames, audio_bytes = struct.unpack_from(">III", mp3, at + 4)
    assert flags & 3 == 3
    lame = at + 16 + (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    packed = int.from_bytes(mp3[lame + 21 : lame + 24], "big")
    return InfoTag(frames, audio_bytes, packed >> 12, packed & 0xFFF)


@pytest.mark.parametrize("rate", RATES["mp3"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_whole_mp3_states_its_frames_delay_and_padding(rate: int, length: int) -> None:
    data = encoded("mp3", rate, length, is_whole=True)
    tag = info_tag(data)
    frame_samples = 1152 if rate >= 32000 else 576
    assert tag.audio_bytes == len(data)
    assert tag.delay == 576  # LAME's; decoders add their own 529
    assert tag.frames * frame_samples - tag.delay - tag.padding == resampled_length(rate, length)


def ogg_pages(data: bytes) -> list[tuple[int, int, list[bytes]]]:
    """Return flags, granule position and packets of each page; none of these packets is longer than a page."""
    pages, at = [], 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        flags, granule, count = data[at + 5], *struct.unpack_from("<q", data, at + 6), data[at + 26]
        sizes, packets, start = data[at + 27 : at + 27 + count], [], at + 27 + count
        length = 0
        for size in sizes:
            length += size
            if size < 255:
                packets.append(data[start : start + length])
                start, length = start + length, 0
        pages.append((flags, granule, packets))
        at += 27 + count + sum(sizes)
    return pages


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
def test_opus_counts_its_pre_skip_once_and_ends_where_its_audio_does(length: int, *, is_whole: bool) -> None:
    pages = ogg_pages(encoded("opus", 48000, length, is_whole=is_whole))
    head = pages[0][2][0]
    pre_skip = struct.unpack_from("<H", head, 10)[0]
    assert (head[:8], pages[0][1], pages[1][1]) == (b"OpusHead", 0, 0)
    assert pages[-1][0] & 4  # the end of the stream
    packets = 0
    for _, granule, inside in pages[2:-1]:
        packets += len(inside)
        assert granule == 960 * packets
    packets += len(pages[-1][2])
    assert pages[-1][1] - pre_skip == resampled_length(48000, length)
    assert 960 * (packets - 1) < pages[-1][1] <= 960 * packets


def test_a_wav_of_more_than_four_gibibytes_has_no_length() -> None:
    sizes = [struct.unpack_from("<I", wav_header(44100, data_bytes), 40)[0] for data_bytes in (2**32 - 46, 2**32 - 44)]
    assert sizes == [2**32 - 46, 0xFFFFFFFF]
