"""Sent seconds: the server's own figure, else constant byte rates, else the estimate; never more than was sent."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.accounts.audio_meter import AudioMeter, AudioSeconds, Source


def meter(response_format: str = "pcm", rate: int | None = 24_000, *, events: bool = False) -> AudioMeter:
    return AudioMeter(response_format, rate, events, estimated_seconds=9.0)


def fed(counted: AudioMeter, *chunks: bytes) -> AudioSeconds:
    for chunk in chunks:
        counted.feed(chunk)
    return counted.result()


def event(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def delta(audio: bytes) -> bytes:
    return event(type="speech.audio.delta", audio=base64.b64encode(audio).decode())


DONE = event(
    type="speech.audio.done",
    usage={"output_tokens": 3},
    sentences=[{"text": 'He said "speech.audio.done".', "until_seconds": 1.0}, {"until_seconds": 2.5}],
)


@pytest.mark.parametrize(
    ("counted", "chunks", "expected"),
    [
        (meter(), [b"x" * 24_000, b"x" * 24_000], AudioSeconds(1.0, Source.BYTES)),
        (meter(rate=None), [b"x" * 48_000], AudioSeconds(1.0, Source.BYTES)),
        (meter("wav", 44_100), [b"x" * (44 + 88_200)], AudioSeconds(1.0, Source.BYTES)),
        (meter("wav", None), [b"x" * 1000], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("mp3"), [b"\xff\xfb\x90\xc0" + b"\0" * 15_996], AudioSeconds(1.0, Source.BYTES)),  # 128 kbit/s
        (meter("mp3"), [b"\xff\xf3\x84\xc0" + b"\0" * 7_996], AudioSeconds(1.0, Source.BYTES)),  # version 2, 64 kbit/s
        (meter("mp3"), [b"ID3" + b"\0" * 50 + b"\xff\xfb\x90\xc0"], AudioSeconds(0.004, Source.BYTES)),
        (meter("mp3"), [b"no frame"], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("opus"), [b"OggS"], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("opus"), [], AudioSeconds(0.0, Source.BYTES)),
        (meter(events=True), [delta(b"x" * 48_000), DONE], AudioSeconds(2.5, Source.SERVER)),
        (meter(events=True), [delta(b"x" * 48_000) + DONE], AudioSeconds(2.5, Source.SERVER)),
        (meter(events=True), [delta(b"x" * 24_000), delta(b"x" * 24_000)], AudioSeconds(1.0, Source.BYTES)),
        (meter("mp3", events=True), [delta(b"x" * 100)], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter(events=True), [event(type="speech.audio.done", usage={})], AudioSeconds(0.0, Source.BYTES)),
        (
            meter(events=True),
            [delta(b"x" * 48_000) + event(type="speech.audio.done", usage={})],
            AudioSeconds(1.0, Source.BYTES),
        ),
    ],
)
def test_seconds_and_their_source(counted: AudioMeter, chunks: list[bytes], expected: AudioSeconds) -> None:
    assert fed(counted, *chunks) == expected


@given(st.lists(st.integers(1, 700), max_size=20))
def test_an_mp3_is_as_long_in_whatever_pieces_it_comes(sizes: list[int]) -> None:
    whole, pieces = b"ID3" + b"\0" * 50 + b"\xff\xfb\x90\xc0" + b"\0" * 2000, list[bytes]()
    for size in sizes:
        pieces.append(whole[sum(map(len, pieces)) :][:size])
    rest = whole[sum(map(len, pieces)) :]
    assert fed(meter("mp3"), *pieces, rest) == fed(meter("mp3"), whole)
