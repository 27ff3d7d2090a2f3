from __future__ import annotations

import io
import itertools
import struct
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.audio.encoding import (
    UNKNOWN_LENGTH,
    Resampler,
    make_encoder,
    to_int16,
    wav_header,
)
from voxfleet_inference.audio.formats import FORMATS

MODEL_RATE, PATCH = 44100, 7056
# The delay that each codec's encoder adds, in samples as sent, where its stream cannot say so; Ogg Opus says it, and
# decoders take it off again. LAME's 576 and the decoder's 529, and one frame of AAC.
ENCODER_DELAY_SAMPLES = {"mp3": 1105, "aac": 1024, "opus": 0, "flac": 0, "wav": 0, "pcm": 0, "mulaw": 0, "alaw": 0}
FRAME_SAMPLES = {"mp3": 1152, "aac": 1024, "opus": 960, "flac": 0, "wav": 0, "pcm": 0, "mulaw": 0, "alaw": 0}
COMPANDED = ("mulaw", "alaw")


def speechlike(patches: int) -> Any:
    """A chirp with a changing loudness: no two places of it look alike."""
    at = np.arange(patches * PATCH) / MODEL_RATE
    return (0.4 * np.sin(2 * np.pi * (200 * at + 300 * at**2)) * (1 + np.sin(9 * at)) / 2).astype(np.float32)


def encoded(name: str, samples: Any, rate: int, *, is_whole: bool = False) -> tuple[bytes, list[int]]:
    encoder = make_encoder(FORMATS[name], MODEL_RATE, rate, is_whole=is_whole)
    parts = [encoder.encode(samples[start : start + PATCH]) for start in range(0, len(samples), PATCH)]
    return b"".join([*parts, encoder.finish()]), [len(part) for part in parts]


def decoded(name: str, data: bytes, rate: int) -> Any:
    if name == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32767
    raw = {"format": name, "options": {"sample_rate": str(rate)}} if name in COMPANDED else {}
    with av.open(io.BytesIO(data), **raw) as container:
        assert container.streams.audio[0].codec_context.sample_rate == rate
        assert container.streams.audio[0].codec_context.channels == 1
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def correlation_at(delay: int, got: Any, expected: Any) -> float:
    length = min(len(got) - delay, len(expected))
    return float(np.corrcoef(got[delay : delay + length], expected[:length])[0, 1])


CASES = [(name, FORMATS[name].rate_for(None, MODEL_RATE)) for name in FORMATS]
CASES += [
    ("pcm", 44100),
    ("pcm", 8000),
    ("wav", 16000),
    ("mp3", 24000),
    ("mp3", 16000),
    ("aac", 24000),
    ("flac", 22050),
    ("mulaw", 16000),
    ("alaw", 16000),
]


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_encoded_audio_decodes_to_the_samples(name: str, rate: int) -> None:
    samples = speechlike(12)
    data, _ = encoded(name, samples, rate)
    got = decoded(name, data, rate)
    at = np.arange(int(len(samples) * rate / MODEL_RATE)) * MODEL_RATE / rate
    expected = np.interp(at, np.arange(len(samples)), samples)
    delay = ENCODER_DELAY_SAMPLES[name]
    assert -2 <= len(got) - len(expected) - delay <= FRAME_SAMPLES[name] + 2
    assert correlation_at(delay, got, expected) > 0.99
    assert correlation_at(delay, got, expected) > correlation_at(delay + 40, got, expected) + 0.001


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_patch_gives_audio_bytes(name: str) -> None:
    _, sizes = encoded(name, speechlike(4), FORMATS[name].rate_for(None, MODEL_RATE))
    assert all(size > 100 for size in sizes)


def test_pcm_at_the_models_rate_is_the_samples_bit_for_bit() -> None:
    samples = speechlike(3)
    assert encoded("pcm", samples, MODEL_RATE)[0] == to_int16(samples)


def test_a_streamed_wav_has_the_unknown_length_and_a_complete_one_its_length() -> None:
    data, _ = encoded("wav", speechlike(2), MODEL_RATE)
    assert struct.unpack_from("<I", data, 4)[0] == struct.unpack_from("<I", data, 40)[0] == UNKNOWN_LENGTH
    whole, _ = encoded("wav", speechlike(2), MODEL_RATE, is_whole=True)
    assert whole[44:] == data[44:]
    assert struct.unpack_from("<I", whole, 4)[0] == len(whole) - 8
    assert struct.unpack_from("<I", whole, 40)[0] == len(whole) - 44 == 2 * PATCH * 2


def test_an_empty_wav_is_still_a_header() -> None:
    encoder = make_encoder(FORMATS["wav"], MODEL_RATE, MODEL_RATE)
    assert encoder.finish() == wav_header(MODEL_RATE, None)


def test_mp3_has_no_xing_header() -> None:
    data, _ = encoded("mp3", speechlike(4), MODEL_RATE)
    assert data[0] == 0xFF
    assert b"Xing" not in data
    assert b"Info" not in data


def test_opus_pages_hold_20_ms_at_most() -> None:
    data, _ = encoded("opus", speechlike(4), 48000)
    granules, at = [], 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        granules.append(struct.unpack_from("<q", data, at + 6)[0])
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    audio = [granule for granule in granules if granule > 0]
    assert len(audio) >= 4 * PATCH * 48000 // MODEL_RATE // 960
    assert max(after - before for before, after in itertools.pairwise(audio)) <= 960


def test_aac_is_a_sequence_of_adts_frames() -> None:
    data, _ = encoded("aac", speechlike(4), MODEL_RATE)
    frames, at = 0, 0
    while at < len(data):
        assert data[at] == 0xFF
        assert data[at + 1] & 0xF6 == 0xF0
        at += (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames += 1
    assert at == len(data)
    assert frames >= 4 * PATCH // 1024


def test_a_streamed_flac_has_the_unknown_length() -> None:
    data, _ = encoded("flac", speechlike(2), MODEL_RATE)
    assert data[:4] == b"fLaC"
    total_samples = int.from_bytes(data[8 + 10 : 8 + 18], "big") & (2**36 - 1)
    assert total_samples == 0


# ITU-T G.711, tables 1a to 2b: code words of the values at which segments begin and end, of their 16-bit samples here.
G711 = {
    "mulaw": {0: 0xFF, -4: 0x7E, 132: 0xEF, -132: 0x6F, 1000: 0xCE, 32_124: 0x80, -32_124: 0x00, 32_767: 0x80},
    "alaw": {0: 0xD5, -1: 0x55, 1008: 0xFA, -1008: 0x7A, 32_256: 0xAA, -32_256: 0x2A, 32_767: 0xAA},
}


@pytest.mark.parametrize("name", COMPANDED)
def test_code_words_are_those_of_g_711(name: str) -> None:
    for sample, word in G711[name].items():
        encoder = make_encoder(FORMATS[name], 8000, 8000)
        data = encoder.encode(np.full(80, sample / 32768, np.float32)) + encoder.finish()
        assert data == bytes([word]) * 80, (sample, hex(data[0]))


@pytest.mark.parametrize("name", ["pcm", *COMPANDED])
def test_telephone_audio_is_limited_to_its_band(name: str) -> None:
    """A tone of 6 kHz would come back at 2 kHz if 8 kHz were made by leaving samples out."""
    at = np.arange(10 * PATCH) / MODEL_RATE
    levels = []
    for hertz in (1000, 6000):
        got = decoded(name, encoded(name, (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32), 8000)[0], 8000)
        levels.append(float(np.sqrt(np.mean(got[800:-800] ** 2))))
    assert levels[0] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert levels[1] < levels[0] / 1000


@pytest.mark.parametrize("name", COMPANDED)
def test_a_byte_is_a_sample_whether_audio_is_streamed_or_whole(name: str) -> None:
    whole, _ = encoded(name, speechlike(5), 8000, is_whole=True)
    assert whole == encoded(name, speechlike(5), 8000)[0]
    assert abs(len(whole) - 5 * PATCH * 8000 / MODEL_RATE) <= 1


def test_loud_samples_are_clipped_not_wrapped() -> None:
    assert np.frombuffer(to_int16(np.array([2.0, -2.0, 1.0, 0.0], np.float32)), "<i2").tolist() == [
        32767,
        -32768,
        32767,
        0,
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=8), st.sampled_from([8000, 24000, 48000]))
def test_resampling_in_pieces_equals_resampling_at_once(sizes: list[int], rate: int) -> None:
    samples = speechlike(11)[: sum(sizes)]
    at_once, in_pieces = Resampler(MODEL_RATE, rate), Resampler(MODEL_RATE, rate)
    expected = np.concatenate([at_once.convert(samples), at_once.finish()])
    pieces = [in_pieces.convert(piece) for piece in np.split(samples, np.cumsum(sizes)[:-1])]
    got = np.concatenate([*pieces, in_pieces.finish()])
    assert abs(len(got) - len(expected)) <= 1
    length = min(len(got), len(expected))
    assert np.allclose(got[:length], expected[:length], atol=1e-4)


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_equal_samples_are_equal_files(name: str, *, is_whole: bool) -> None:
    audio_format = FORMATS[name]
    samples = np.random.default_rng(3).normal(0, 0.1, MODEL_RATE // 2).astype(np.float32)

    def file(stream_number: int) -> bytes:
        rate = audio_format.rate_for(None, MODEL_RATE)
        encoder = make_encoder(audio_format, MODEL_RATE, rate, is_whole=is_whole, stream_number=stream_number)
        return encoder.encode(samples) + encoder.finish()

    assert file(4711) == file(4711)
    if name == "opus":
        assert struct.unpack_from("<I", file(2**31 - 1), 14) == (2**31 - 1,), "its number in the page's header"
