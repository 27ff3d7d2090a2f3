"""A request for speech from options, and the header of a finished wav."""

import io
import json
import wave
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.errors import UsageError
from voxfleet_cli.speech.request import (
    ENDINGS,
    FORMATS,
    SpeechOptions,
    checked_text,
    finished_header,
    format_of,
    only_model,
    wake_words,
)
from voxfleet_gateway.server.requests.speech_request import RESPONSE_FORMATS
from voxfleet_inference.audio.encoding import wav_header


def test_the_formats_are_the_gateways() -> None:
    assert set(FORMATS) == set(RESPONSE_FORMATS)


@given(st.sampled_from(sorted(ENDINGS)), st.booleans())
def test_a_files_ending_is_its_format_in_any_case(ending: str, is_upper: bool) -> None:  # noqa: FBT001
    assert format_of(f"a.b/out{ending.upper() if is_upper else ending}", "") == ENDINGS[ending]


def test_a_format_may_be_given() -> None:
    assert (format_of("-", ""), format_of("-", "mp3"), format_of("out.bin", "FLAC")) == ("wav", "mp3", "flac")


@pytest.mark.parametrize(
    ("target", "given", "message"),
    [
        ("out", "", "its ending must be one of .mp3 .opus"),
        ("out.txt", "", "not '.txt'; or give --format"),
        ("out.wav", "ogg", "--format must be one of mp3"),
    ],
)
def test_no_format(target: str, given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        format_of(target, given)


def test_what_has_its_default_is_left_out() -> None:
    short = json.loads(SpeechOptions("Hi.", "m", "wav").body())
    assert short == {"model": "m", "input": "Hi.", "voice": "default", "response_format": "wav"}
    long = json.loads(SpeechOptions("你好", "m", "wav", "voice_1", 1.5, 0).body())
    assert (long["input"], long["speed"], long["seed"]) == ("你好", 1.5, 0)
    assert json.loads(SpeechOptions("$5", "m", "wav", normalize=True).body())["normalize"] is True


def test_no_text() -> None:
    with pytest.raises(UsageError, match="there is no text"):
        checked_text(" \n")


def listed(*names: str) -> dict[str, Any]:
    return {"data": [{"id": name} for name in names]}


def test_the_only_model() -> None:
    assert only_model(listed("apps/narrator", "voxcpm-1.5"), "") == "voxcpm-1.5"
    assert only_model(listed("apps/narrator"), "") == "apps/narrator"
    assert only_model({}, "given") == "given"
    with pytest.raises(UsageError, match="one of a, b"):
        only_model(listed("a", "b", "x/a"), "")
    with pytest.raises(UsageError, match="has none"):
        only_model({}, "")


def test_an_alias_is_no_second_model() -> None:
    aliased = {
        "data": [{"id": name, "root": "narrator"} for name in ("apps/narrator", "narrator", "tts-1", "tts-1-hd")]
    }
    assert only_model(aliased, "") == "narrator"
    assert only_model({"data": [{"id": "tts-1", "root": "narrator"}]}, "") == "tts-1"
    with pytest.raises(UsageError, match="one of narrator, other"):
        only_model({"data": [*aliased["data"], {"id": "other", "root": "other"}]}, "")


def test_a_wake_in_words() -> None:
    waking = {"region": "eu", "state": "waking", "ready_in_seconds": 19.6}
    assert wake_words(waking) == "region eu is waking, about 20 s"
    assert wake_words(waking | {"ready_in_seconds": 0}) == "region eu is waking"
    assert wake_words(waking | {"state": "awake"}) == ""


@given(st.binary(max_size=400).map(lambda data: data + b"\0" * (len(data) % 2)))
def test_a_streamed_wav_is_a_whole_one_once_it_is_finished(samples: bytes) -> None:
    streamed = wav_header(44100, None) + samples
    finished = finished_header(streamed[:256], len(streamed)) + streamed[256:]
    with wave.open(io.BytesIO(finished)) as read:
        assert read.readframes(read.getnframes()) == samples
    assert finished_header(finished, len(finished)) == finished


@given(st.binary(max_size=64), st.integers(0, 2**40))
def test_anything_else_stays_as_it_is(header: bytes, length: int) -> None:
    assert finished_header(header, length) == header or header.startswith(b"RIFF")
