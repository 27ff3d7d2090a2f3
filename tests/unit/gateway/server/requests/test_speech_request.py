"""Which speech requests are refused before anything is woken, and which pass."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.requests.speech_request import (
    MAX_INPUT_CHARACTERS,
    MAX_JSON_VALUES,
    SpeechRequest,
    check_speech,
    parse_model_name,
)
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.requests import parse_speech_request


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
        (GOOD | {"model": ["m"]}, "model"),
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
        *((GOOD | {"sample_rate": rate}, "sample_rate") for rate in (7999, 96_001, -1, True, "8000", [8000])),
    ],
)
def test_wrong_fields_are_named(fields: Any, param: str | None) -> None:
    status, named, message = refused(fields)
    assert (status, named) == (400, param)
    assert param is None or f"'{param}'" in message


def test_messages_name_the_bounds() -> None:
    assert "1 to 4096 characters; given 5000" in refused(GOOD | {"input": "x" * 5000})[2]
    assert "0.25 to 4; given 9" in refused(GOOD | {"speed": 9})[2]
    assert "8000 to 96000" in refused(GOOD | {"sample_rate": 7})[2]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 9_000, b"1" * 5_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        parse_model_name(body)
    assert caught.value.refusal.code == "invalid_json"


@pytest.mark.parametrize("value", [b"{}", b"[]", b"1", b'{"a":1}', b"[" * 20])
def test_a_document_of_many_values_is_refused_before_it_is_parsed(
    value: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(RequestRefusedError) as caught:
        parse_model_name(b'{"model":"m","input":"hi","x":[' + (value + b",") * MAX_JSON_VALUES + b"0]}")
    assert (caught.value.refusal.status, caught.value.refusal.code) == (413, "too_many_values")


def count_values(value: Any) -> int:
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + sum(map(count_values, inner))


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_document_has_more_values_than_are_counted(value: Any) -> None:
    body = json.dumps({"model": "m", "x": value}).encode()
    marks = sum(map(body.count, (b",", b"[", b"{")))
    assert count_values({"model": "m", "x": value}) <= 1 + marks


def test_the_longest_text_of_commas_passes() -> None:
    check(GOOD | {"input": "a" + "," * (MAX_INPUT_CHARACTERS - 1)})


def test_unknown_fields_pass_unread() -> None:
    speech = check(GOOD | {"seed": 7, "voice": {"id": "voice_1"}, "speed": 1, "response_format": None})
    assert json.loads(speech.body.data)["seed"] == 7


def test_the_body_is_unchanged_unless_the_name_differs() -> None:
    body = b'{ "model":"m",  "input":"\xe4\xbd\xa0" }'
    name, fields = parse_model_name(body)
    speech = check_speech(name, fields, body)
    assert speech.naming("m") is speech
    assert speech.body.data is body
    assert json.loads(speech.naming("other").body.data) == {"model": "other", "input": "你"}


def test_half_a_surrogate_pair_in_a_field_that_is_not_read_is_passed_on_unchanged() -> None:
    body = b'{"model": "m", "input": "a", "instructions": "a\\ud800"}'
    name, fields = parse_model_name(body)
    assert json.loads(check_speech(name, fields, body).naming("other").body.data)["instructions"] == "a\ud800"


NO_SPEECH = ["", " \n", "...", "?!", "\U0001f600", "\u200b", "\u2014", "\u3164", "$", "\x00"]
# A field's value, and the code that a gateway and a server give for it; None: both accept it.
SAME_CODES: list[tuple[str, Any, str | None]] = [
    *(("input", text, "empty") for text in NO_SPEECH),
    *(("input", text, None) for text in ("\u4f60", "\u0663", "\u00bd", "[pause:1s]", "<break/>", "a\x00")),
    ("input", "a" * (MAX_INPUT_CHARACTERS + 1), "too_long"),
    ("input", "a\ud800", "invalid"),
    *(("speed", value, "invalid") for value in (0.2499, 4.001, "1", True, [], float("nan"), float("inf"))),
    *(("speed", value, None) for value in (None, 0.25, 4)),
    *(("voice", value, "invalid") for value in (7, True, [], {}, {"id": 7}, {"id": None}, {"id": "a", "x": 1})),
    *(("voice", value, None) for value in (None, "alloy", {"id": "alloy"})),
    *((name, None, None) for name in ("response_format", "stream_format", "sample_rate")),
    *((name, "", "invalid") for name in ("response_format", "stream_format", "sample_rate")),
    *((name, 7, "invalid") for name in ("model", "input", "response_format", "stream_format", "sample_rate")),
    *((name, None, "invalid") for name in ("model", "input")),
    *((name, ..., "missing") for name in ("model", "input")),  # without the field
]


@pytest.mark.parametrize(("name", "value", "code"), SAME_CODES)
def test_a_gateway_and_a_server_refuse_a_field_by_the_same_code(name: str, value: Any, code: str | None) -> None:
    fields = {**GOOD, name: value} if value is not ... else {other: GOOD[other] for other in GOOD if other != name}
    codes: list[tuple[str | None, str | None]] = []
    try:
        check(fields)
    except RequestRefusedError as refused:
        codes.append((refused.refusal.param, refused.refusal.code))
    try:
        parse_speech_request(json.dumps(fields).encode(), MAX_INPUT_CHARACTERS)
    except InvalidFieldError as refused_there:
        codes.append((refused_there.param, refused_there.code))
    assert codes == ([] if code is None else [(name, code), (name, code)])


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text(max_size=20))
def test_odd_values_raise_nothing_but_a_refusal(value: Any, name: str) -> None:
    # Proves that no value raises another exception: it would fail the test.
    for fields in ({"model": name, "input": value}, GOOD | {"speed": value}, GOOD | {"response_format": value}):
        with suppress(RequestRefusedError):
            check(fields)
