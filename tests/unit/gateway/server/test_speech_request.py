"""Which speech requests are refused before anything is woken, and which pass."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.speech_request import MAX_INPUT_CHARACTERS, SpeechRequest, check_speech, parse_model_name


def check(fields: Any) -> SpeechRequest:
    body = json.dumps(fields).encode()
    name, parsed = parse_model_name(body)
    return check_speech(name, parsed, body)


def refused(fields: Any) -> tuple[int, str | None, str]:
    with pytest.raises(RequestRefusedError) as caught:
        check(fields)
    return caught.value.refusal.status, caught.value.refusal.param, caught.value.refusal.message


GOOD = {"model": "m", "input": "Hello."}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([], None),
        ("text", None),
        ({"input": "x"}, "model"),
        (GOOD | {"model": 3}, "model"),
        (GOOD | {"model": ""}, "model"),
        ({"model": "m"}, "input"),
        (GOOD | {"input": None}, "input"),
        (GOOD | {"input": ["x"]}, "input"),
        (GOOD | {"input": " \n"}, "input"),
        (GOOD | {"input": "x" * (MAX_INPUT_CHARACTERS + 1)}, "input"),
        (GOOD | {"response_format": "midi"}, "response_format"),
        (GOOD | {"response_format": ["wav"]}, "response_format"),
        (GOOD | {"stream_format": "video"}, "stream_format"),
        (GOOD | {"speed": 0.2}, "speed"),
        (GOOD | {"speed": True}, "speed"),
        (GOOD | {"speed": "fast"}, "speed"),
    ],
)
def test_wrong_fields_are_named(fields: Any, param: str | None) -> None:
    status, named, message = refused(fields)
    assert (status, named) == (400, param)
    assert param is None or f"'{param}'" in message


def test_messages_name_the_bounds() -> None:
    assert "1 to 4096 characters, not 5000" in refused(GOOD | {"input": "x" * 5000})[2]
    assert "0.25 to 4.0" in refused(GOOD | {"speed": 9})[2]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        parse_model_name(body)
    assert caught.value.refusal.code == "invalid_json"


def test_unknown_fields_pass_unread() -> None:
    speech = check(GOOD | {"seed": 7, "voice": {"id": "voice_1"}, "speed": 1, "response_format": None})
    assert json.loads(speech.body)["seed"] == 7


def test_the_body_is_unchanged_unless_the_name_differs() -> None:
    body = b'{ "model":"m",  "input":"\xe4\xbd\xa0" }'
    name, fields = parse_model_name(body)
    speech = check_speech(name, fields, body)
    assert speech.body_for("m") is body
    assert json.loads(speech.body_for("other")) == {"model": "other", "input": "你"}


def test_a_lone_surrogate_is_passed_on_unchanged() -> None:
    body = b'{"model": "m", "input": "a\\ud800"}'
    name, fields = parse_model_name(body)
    assert json.loads(check_speech(name, fields, body).body_for("other"))["input"] == "a\ud800"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text(max_size=20))
def test_odd_values_raise_nothing_but_a_refusal(value: Any, name: str) -> None:
    # Proves that no value raises another exception: it would fail the test.
    for fields in ({"model": name, "input": value}, GOOD | {"speed": value}, GOOD | {"response_format": value}):
        with suppress(RequestRefusedError):
            check(fields)
