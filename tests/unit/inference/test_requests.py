from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.requests import SpeechRequest, parse_speech_request, recording_bytes

GOOD = {"model": "voxcpm-1.5", "input": "Hello", "voice": "default"}


def parse(**changes: Any) -> SpeechRequest:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return parse_speech_request(json.dumps(body).encode(), max_input_characters=100)


def test_missing_fields_have_defaults() -> None:
    request = parse(voice=...)
    assert (request.voice, request.response_format, request.speed, request.stream) == ("default", "mp3", 1.0, True)
    assert SpeechRequest.model_validate({**GOOD, "voice": "default"}).seed is None
    assert request.seed is not None, "parsing draws one"


def test_a_voice_may_be_named_as_openais_object() -> None:
    assert parse(voice={"id": "voice_1234"}).voice == "voice_1234"


@pytest.mark.parametrize(
    "name", sorted(name for name, field in SpeechRequest.model_fields.items() if not field.is_required())
)
def test_null_is_the_default_of_every_optional_field(name: str) -> None:
    without = parse(**{name: ...}, **({} if name == "seed" else {"seed": 1}))
    given = parse(**{name: None}, **({} if name == "seed" else {"seed": 1}))
    unseeded = {"exclude": {"seed"}} if name == "seed" else {}
    assert given.model_dump(**unseeded) == without.model_dump(**unseeded)


def test_unknown_fields_of_openai_are_ignored() -> None:
    assert parse(instructions="cheerfully", anything=1).input == "Hello"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"model": ...}, "model", "'model' is missing"),
        ({"model": None}, "model", "'model' must be a string"),
        ({"model": 3}, "model", "'model' must be a string"),
        ({"input": ...}, "input", "'input' is missing"),
        ({"input": ""}, "input", "a string of 1 to 100 characters; given an empty string"),
        ({"input": " \n\t "}, "input", "given white space only"),
        ({"input": "x" * 101}, "input", "a string of 1 to 100 characters; given 101"),
        ({"input": 17}, "input", "'input' must be a string"),
        ({"input": ["a"]}, "input", "'input' must be a string"),
        ({"input": None}, "input", "'input' must be a string"),
        ({"voice": 1}, "voice", "'voice' must be a string"),
        ({"voice": {"id": 1}}, "voice", "'voice' must be a string"),
        ({"voice": {"id": "a", "other": 1}}, "voice", "'voice' must be a string"),
        ({"input": "half a \ud83d character"}, "input", "half a surrogate pair (U+D83D) at character 8"),
        ({"model": "\udc00"}, "model", "'model' has half a surrogate pair (U+DC00) at character 1"),
        ({"input": "\U0001f600 \U0001f44d\U0001f3fd"}, "input", "a letter or a digit to speak; given"),
        ({"input": "...!?\u3002"}, "input", "a letter or a digit to speak; given '...!?\u3002'"),
        ({"input": "\u200b\u200d\ufeff"}, "input", r"given '\u200b\u200d\ufeff'"),
        ({"input": "\u3164"}, "input", "a letter or a digit to speak"),
        ({"input": "[pause:1s]", "normalize": True}, "input", "a letter or a digit to speak"),
        ({"input": "<speak><break/></speak>", "normalize": True}, "input", "a letter or a digit to speak"),
        ({"instructions": 1}, "instructions", "a string"),
        ({"normalize": "yes"}, "normalize", "a boolean"),
        ({"stream": 1}, "stream", "a boolean"),
        (
            {"response_format": "ogg"},
            "response_format",
            "one of mp3, opus, aac, flac, wav, pcm, mulaw, alaw; given 'ogg'",
        ),
        ({"speed": 0.1}, "speed", "a number from 0.25 to 4; given 0.1"),
        ({"speed": 5}, "speed", "a number from 0.25 to 4; given 5"),
        ({"speed": True}, "speed", "a number from 0.25 to 4; given True"),
        ({"speed": "1.5"}, "speed", "a number from 0.25 to 4; given '1.5'"),
        ({"seed": "7"}, "seed", "given '7'"),
        ({"stream_format": "ndjson"}, "stream_format", "audio or sse; given 'ndjson'"),
        ({"seed": -1}, "seed", "an integer from 0 to 9223372036854775807; given -1"),
        ({"seed": 1.5}, "seed", "given 1.5"),
        ({"cfg_value": 0.5}, "cfg_value", "a number from 1 to 10; given 0.5"),
        ({"cfg_value": 11}, "cfg_value", "a number from 1 to 10; given 11"),
        ({"inference_timesteps": 1}, "inference_timesteps", "an integer from 2 to 40; given 1"),
        ({"inference_timesteps": 41}, "inference_timesteps", "an integer from 2 to 40; given 41"),
        ({"sample_rate": 1000, "response_format": "pcm"}, "sample_rate", "8000 to 96000 Hz for pcm; given 1000"),
        ({"sample_rate": 96000}, "sample_rate", "44100, 48000 Hz for mp3; given 96000"),
        ({"sample_rate": 24000, "response_format": "opus"}, "sample_rate", "one of 48000 Hz for opus"),
        ({"reference_audio": "aGk="}, "reference_text", "go together"),
        ({"reference_text": "hi"}, "reference_audio", "go together"),
        ({"reference_text": "x" * 1001, "reference_audio": "aGk="}, "reference_text", "1 to 1000 characters"),
    ],
)
def test_an_invalid_field_is_named_with_its_bounds(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse(**changes)
    assert caught.value.param == field
    assert words in caught.value.message
    assert caught.value.status == 400
    assert set(caught.value.body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("text", ["", " ", "\U0001f600", "\u200b", "?!"])
def test_input_without_speech_is_reported_as_empty(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse(input=text)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "input", "empty")


@pytest.mark.parametrize("text", ["1\ufe0f\u20e3", "\u4f60", "\u0e01", "\u00bd", "[pause:1s]"])
def test_a_letter_or_a_digit_of_any_script_is_speech(text: str) -> None:
    assert parse(input=text).input == text


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'"text"', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidFieldError, match="the body must be a JSON object"):
        parse_speech_request(body, 100)


def test_a_reference_must_be_base64() -> None:
    assert recording_bytes("aGk=") == b"hi"
    with pytest.raises(InvalidFieldError, match="never a URL"):
        recording_bytes("https://example.com/a.wav")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(SpeechRequest.model_fields)), json_values, max_size=6))
def test_any_json_object_is_a_request_or_a_field_error(body: dict[str, Any]) -> None:
    try:
        request = parse_speech_request(json.dumps(body).encode(), 100)
    except InvalidFieldError as refused:
        error = refused.body["error"]
        assert error["message"]
        assert error["param"] is None or error["param"] in SpeechRequest.model_fields
    else:
        assert request.input.strip()


def test_equal_requests_number_their_streams_equally_and_others_differently() -> None:
    numbers = [parse(seed=seed, input=text).stream_number for seed, text in ((1, "a"), (1, "a"), (1, "b"), (2, "a"))]
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3
    assert all(0 <= number < 2**31 for number in numbers)
