"""Deepgram's Speak protocol as messages of a session, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_protocols.deepgram import DeepgramQuery, DeepgramSession, error_body, parse_query, speech_fields
from voxfleet_protocols.translation import ServedModel, UnusableMessageError, model_and_voice

ONE = [ServedModel(("narrator", "tts-1"), ("thalia",))]
TWO = [*ONE, ServedModel(("reader",), ("orion",))]


@pytest.mark.parametrize(
    ("models", "name", "found"),
    [
        (ONE, "", ("narrator", "")),
        (ONE, "tts-1", ("tts-1", "")),
        (ONE, "thalia", ("narrator", "thalia")),
        (ONE, "Ada", ("narrator", "Ada")),  # a stored voice, perhaps
        (TWO, "orion", ("reader", "orion")),
        (TWO, "reader", ("reader", "")),
    ],
)
def test_one_name_means_a_model_or_a_voice(models: list[ServedModel], name: str, found: tuple[str, str]) -> None:
    assert model_and_voice(name, models) == found


@pytest.mark.parametrize(("models", "name"), [(TWO, "Ada"), ([], "x")])
def test_a_name_that_may_be_any_model_s_voice_is_refused(models: list[ServedModel], name: str) -> None:
    with pytest.raises(UnusableMessageError) as refused:
        model_and_voice(name, models)
    assert refused.value.code == "model_not_found"
    assert not models or "narrator, reader" in str(refused.value)


@pytest.mark.parametrize(
    ("query", "is_session", "response_format", "rate"),
    [
        ({}, True, "pcm", 24_000),
        ({"encoding": "linear16", "sample_rate": "16000"}, True, "pcm", 16_000),
        ({}, False, "mp3", None),
        ({"encoding": "linear16"}, False, "wav", 24_000),
        ({"encoding": "linear16", "container": "none"}, False, "pcm", 24_000),
        ({"encoding": "opus"}, False, "opus", None),
        ({"encoding": "mulaw"}, True, "mulaw", None),  # 8 kHz, the format's own rate
        ({"encoding": "alaw", "sample_rate": "16000"}, True, "alaw", 16_000),
        ({"encoding": "mulaw", "sample_rate": "8000", "container": "none"}, False, "mulaw", 8000),
        ({"encoding": "flac", "speed": "1.5"}, False, "flac", None),
    ],
)
def test_a_query_is_a_speech_request(
    query: dict[str, str], *, is_session: bool, response_format: str, rate: int | None
) -> None:
    parsed = parse_query({"model": "thalia", **query}, ONE, is_session=is_session)
    assert (parsed.response_format, parsed.sample_rate) == (response_format, rate)
    assert parsed.fields["voice"] == "thalia"
    assert parsed.fields.get("speed") == (1.5 if "speed" in query else None)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"encoding": "vorbis"}, "encoding"),
        *(({"sample_rate": rate}, "sample_rate") for rate in ("high", "nan", "inf", "1e400", "8000.5")),
        *(({"speed": speed}, "speed") for speed in ("fast", "nan", "-inf")),
    ],
)
def test_a_query_that_cannot_be_met_names_its_parameter(query: dict[str, str], named: str) -> None:
    for is_session in (True, False):
        with pytest.raises(UnusableMessageError, match=f"'{named}'"):
            parse_query(query, ONE, is_session=is_session)


def test_mulaw_in_wav_which_deepgram_sends_unless_it_is_asked_not_to_is_refused_with_the_way_out() -> None:
    with pytest.raises(UnusableMessageError, match=r"mulaw in none.*given 'mulaw' in 'wav'"):
        parse_query({"encoding": "mulaw", "sample_rate": "8000"}, ONE, is_session=False)


def session() -> DeepgramSession:
    return DeepgramSession(DeepgramQuery("narrator", "thalia", "linear16", "pcm", 24_000, None), "r")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ('{"type": "Speak", "text": "Hello "}', [{"type": "text.append", "text": "Hello "}]),
        ('{"type": "Speak", "text": ""}', []),
        ('{"type": "Flush"}', [{"type": "text.flush"}]),
        ('{"type": "Clear"}', [{"type": "cancel"}]),
        ('{"type": "Close"}', [{"type": "session.end"}]),
    ],
)
def test_each_message_has_its_counterpart(text: str, messages: list[dict[str, Any]]) -> None:
    assert session().received(text) == messages


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_whatever_else_is_sent_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnusableMessageError):
        session().received(text)


def test_events_are_numbered_and_named_as_the_plug_ins_read_them() -> None:
    talk = session()
    (start,) = talk.opened()
    assert start == {
        "type": "session.start", "model": "narrator", "voice": "thalia", "response_format": "pcm", "sample_rate": 24_000
    }  # fmt: skip
    events = [
        {"type": "error", "error": {"message": "no voice", "type": "invalid_request_error", "code": "voice_not_found"}},
        {"type": "error", "error": {"message": "no JSON", "type": "invalid_request_error", "code": "DATA-0000"}},
        {"type": "session.started"},
        {"type": "sentence.started", "index": 0, "text": "x", "at_seconds": 0.0},
        {"type": "flushed", "at_seconds": 1.0},
        {"type": "cancelled", "at_seconds": 1.0},
        {"type": "flushed", "at_seconds": 2.0},
        {"type": "error", "error": {"message": "too long", "type": "invalid_request_error", "code": "too_long"}},
        {"type": "error", "error": {"message": "broken", "type": "server_error", "code": None}},
        {"type": "session.done", "usage": {}},
    ]
    frames = [json.loads(frame) for event in events for frame in talk.event(event)]
    assert [(frame["type"], frame.get("sequence_id")) for frame in frames] == [
        ("Error", None), ("Warning", None), ("Metadata", None), ("Flushed", 0), ("Cleared", 0), ("Flushed", 1),
        ("Warning", None), ("Error", None),
    ]  # fmt: skip
    assert frames[2]["request_id"] == "r"
    assert talk.audio(b"ab") == [b"ab"]


def test_a_request_s_body_is_its_text() -> None:
    query = parse_query({}, ONE, is_session=False)
    assert speech_fields(query, b'{"text": "Hello."}') == {
        "model": "narrator", "response_format": "mp3", "input": "Hello."
    }  # fmt: skip
    for body in (b"", b"[]", b'{"text": " "}', b"\xff"):
        with pytest.raises(UnusableMessageError):
            speech_fields(query, body)
    assert error_body("m", "c", "r") == {"err_code": "c", "err_msg": "m", "request_id": "r"}
