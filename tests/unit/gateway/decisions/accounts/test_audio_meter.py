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


def done(until_seconds: str) -> bytes:
    return b'data: {"type": "speech.audio.done", "sentences": [{"until_seconds": %s}]}\n\n' % until_seconds.encode()


MP3 = b"\xff\xfb\x90\xc0" + b"\0" * 413  # version 1, 128 kbit/s, 44.1 kHz: 1152 samples
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
        (meter("mp3"), [MP3 * 10], AudioSeconds(0.261, Source.FRAMES)),
        (meter("mp3"), [b"ID3" + b"\0" * 50 + MP3 * 10 + MP3[:-1]], AudioSeconds(0.261, Source.FRAMES)),
        (meter("mp3"), [b"no frame"], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("opus"), [b"OggS"], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("opus"), [], AudioSeconds(0.0, Source.BYTES)),
        (meter(events=True), [delta(b"x" * 48_000), DONE], AudioSeconds(2.5, Source.SERVER)),
        (meter(events=True), [delta(b"x" * 48_000) + DONE], AudioSeconds(2.5, Source.SERVER)),
        (meter(events=True), [delta(b"x" * 24_000), delta(b"x" * 24_000)], AudioSeconds(1.0, Source.BYTES)),
        (meter("mp3", events=True), [delta(b"x" * 100)], AudioSeconds(9.0, Source.ESTIMATE)),
        (meter("mp3", events=True), [delta(MP3 * 5 + MP3[:9]), delta(MP3[9:] * 1)], AudioSeconds(0.157, Source.FRAMES)),
        (meter("mp3", events=True), [delta(MP3) + b"data: {}\n\n" + delta(MP3)], AudioSeconds(0.052, Source.FRAMES)),
        (meter("aac", events=True), [b'data: {"audio": "?"}\n\n'], AudioSeconds(0.0, Source.BYTES)),
        (meter(events=True), [delta(b"x" * 48_000), done("Infinity")], AudioSeconds(1.0, Source.BYTES)),
        (meter(events=True), [delta(b"x" * 48_000), done("1e300")], AudioSeconds(1e6, Source.SERVER)),
        (meter(events=True), [delta(b"x" * 48_000), done("-3")], AudioSeconds(0.0, Source.SERVER)),
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


@given(st.lists(st.integers(0, 5000), max_size=8), st.sampled_from(["pcm", "wav"]))
def test_events_hold_as_much_as_their_audio(sizes: list[int], name: str) -> None:
    chunks = [b"x" * size for size in sizes]
    assert fed(meter(name, events=True), *map(delta, chunks)) == fed(meter(name), *chunks)


@given(st.text())
def test_a_text_that_looks_like_audio_is_none(text: str) -> None:
    quoted = event(type="speech.sentence", text=f'"audio": "{text}', other='"audio":"AAAA"')
    assert fed(meter(events=True), quoted, delta(b"xx" * 24_000)) == AudioSeconds(1.0, Source.BYTES)
