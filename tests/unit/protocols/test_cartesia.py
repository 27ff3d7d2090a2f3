"""Cartesia's protocol as messages of sessions, and back."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_protocols.cartesia import CartesiaContext, ContextMessage, error_frame, parse_message, speech_fields
from voxfleet_protocols.translation import ServedModel, UnusableMessageError

ONE = [ServedModel(("narrator", "tts-1"), ("thalia",))]
TWO = [*ONE, ServedModel(("reader",), ("orion",))]
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
FIRST = {
    "context_id": "c", "model_id": "sonic-3", "voice": {"mode": "id", "id": "thalia"}, "output_format": RAW,
    "transcript": "Hello. ", "continue": True, "add_timestamps": True, "max_buffer_delay_ms": 0, "language": "en",
}  # fmt: skip


def context(models: list[ServedModel] = ONE, **fields: Any) -> CartesiaContext:
    return CartesiaContext(ContextMessage("c", FIRST | fields), models)


def frames(talk: CartesiaContext, event: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in talk.event(event)]


def test_the_first_message_is_a_session_s_start() -> None:
    assert context().opened() == [
        {"type": "session.start", "model": "narrator", "voice": "thalia", "response_format": "pcm",
         "sample_rate": 24_000, "word_timestamps": True}
    ]  # fmt: skip
    (start,) = context(voice="orion", add_timestamps=False, generation_config={"speed": 1.2}).opened()
    assert (start["voice"], start["word_timestamps"], start["speed"]) == ("orion", False, 1.2)
    (start,) = context(voice={"mode": "id", "id": None}, speed="slow").opened()
    assert ("voice" in start, start["speed"]) == (False, 0.8)


@pytest.mark.parametrize(
    ("models", "model_id", "voice", "found"),
    [
        (ONE, "tts-1", "x", "tts-1"),
        (ONE, "sonic-3", "x", "narrator"),
        (TWO, "sonic-3", "orion", "reader"),
        (TWO, "reader", "thalia", "reader"),
        (TWO, "sonic-3", "x", None),
        ([], "sonic-3", "x", None),
    ],
)
def test_a_model_is_named_or_found_by_its_voice_or_the_only_one(
    models: list[ServedModel], model_id: str, voice: str, found: str | None
) -> None:
    if found is None:
        with pytest.raises(UnusableMessageError) as refused:
            context(models, model_id=model_id, voice=voice)
        assert refused.value.code == "model_not_found"
    else:
        assert context(models, model_id=model_id, voice=voice).model == found


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"transcript": "Hi. ", "max_buffer_delay_ms": 0}, [("text.append", "Hi. "), ("text.flush", None)]),
        ({"transcript": "Hi "}, [("text.append", "Hi ")]),
        ({"transcript": " ", "max_buffer_delay_ms": 0}, [("text.append", " ")]),
        ({"transcript": "", "flush": True}, [("text.flush", None)]),
        ({"transcript": " ", "continue": False}, [("text.append", " "), ("session.end", None)]),
        ({"transcript": "", "continue": False}, [("session.end", None)]),
        ({"transcript": "All.", "continue": None}, [("text.append", "All."), ("session.end", None)]),
        ({"cancel": True}, [("cancel", None), ("session.end", None)]),
    ],
)
def test_each_message_has_its_counterpart(fields: dict[str, Any], messages: list[tuple[str, str | None]]) -> None:
    given = json.dumps({"context_id": "c", "continue": True} | fields)
    assert [(each["type"], each.get("text")) for each in context().received(given)] == messages


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"output_format": RAW | {"encoding": "pcm_f32le"}}, "output_format"),
        ({"output_format": RAW | {"encoding": "pcm_mulaw", "container": "wav"}}, "output_format"),
        ({"output_format": RAW | {"container": "mp3"}}, "output_format.container"),
        ({"output_format": 3}, "output_format"),
        ({"voice": {"mode": "embedding", "embedding": [0.1]}}, "voice.mode"),
        ({"voice": 7}, "voice"),
        ({"speed": True}, "speed"),
        ({"speed": "presto"}, "speed"),
    ],
)
def test_what_cannot_be_met_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UnusableMessageError, match=f"'{named}'"):
        context(**fields)


@pytest.mark.parametrize(("encoding", "response_format"), [("pcm_mulaw", "mulaw"), ("pcm_alaw", "alaw")])
def test_telephones_encodings_are_offered_raw(encoding: str, response_format: str) -> None:
    (start,) = context(output_format=RAW | {"encoding": encoding, "sample_rate": 8000}).opened()
    assert (start["response_format"], start["sample_rate"]) == (response_format, 8000)


def test_events_are_frames_of_their_context() -> None:
    talk = context()
    words = [{"word": "Hello.", "start": 0.3, "end": 0.9}, {"word": "You", "start": 1.0, "end": 1.2}]
    assert frames(talk, {"type": "session.started"}) == []
    (stamps,) = frames(talk, {"type": "sentence.timestamps", "words": words})
    assert stamps["word_timestamps"] == {"words": ["Hello.", "You"], "start": [0.3, 1.0], "end": [0.9, 1.2]}
    (chunk,) = [json.loads(frame) for frame in talk.audio(b"\x00\x01")]
    assert (chunk["type"], base64.b64decode(chunk["data"])) == ("chunk", b"\x00\x01")
    (flushed,) = frames(talk, {"type": "flushed", "at_seconds": 1.0})
    (again,) = [json.loads(frame) for frame in talk.keep_alive()]
    assert [each["flush_id"] for each in (flushed, again)] == [1, 2]
    (done,) = frames(talk, {"type": "session.done", "usage": {}})
    assert (done["type"], done["done"]) == ("done", True)
    everything = [stamps, chunk, flushed, again, done]
    assert {each["context_id"] for each in everything} == {"c"}
    assert [each["done"] for each in everything] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("invalid_request_error", {}, 400),
        ("permission_error", {}, 403),
        ("rate_limit_error", {"retry_after_seconds": 3}, 429),  # a gateway's
        ("requests", {"retry_after_seconds": 3}, 429),  # a server's
        ("server_error", {"retry_after_seconds": 3}, 503),
        ("server_error", {}, 500),
    ],
)
def test_an_error_has_the_status_that_a_request_would_have(kind: str, more: dict[str, Any], status: int) -> None:
    (error,) = frames(context(), {"type": "error", "error": {"message": "m", "type": kind, "code": "c"}, **more})
    assert (error["status_code"], error["done"]) == (status, False)


def test_a_context_that_failed_is_not_done() -> None:
    refused = {"type": "error", "error": {"message": "no voice", "type": "invalid_request_error", "code": "v"}}
    talk = context()
    (error,) = frames(talk, refused)
    assert (error["type"], error["error"], error["context_id"], error["done"]) == ("error", "no voice", "c", False)
    assert frames(talk, {"type": "session.done"}) == []
    talk = context()
    talk.event({"type": "session.started"})
    assert frames(talk, refused)[0]["type"] == "error"
    assert frames(talk, {"type": "session.done"})[0]["type"] == "done", "a wrong message ends no context"


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_whatever_else_is_sent_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnusableMessageError):
        parse_message(text)


@pytest.mark.parametrize("context_id", [7, "x" * 257])
def test_an_id_that_is_no_short_string_is_refused(context_id: Any) -> None:
    with pytest.raises(UnusableMessageError, match="context_id"):
        parse_message(json.dumps({"context_id": context_id}))


def test_a_request_s_body_is_a_speech_request() -> None:
    body = {name: value for name, value in FIRST.items() if name not in {"context_id", "continue"}}
    assert speech_fields(json.dumps(body).encode(), ONE) == {
        "model": "narrator", "voice": "thalia", "response_format": "pcm", "sample_rate": 24_000, "input": "Hello. "
    }  # fmt: skip
    mp3 = body | {"output_format": {"container": "mp3", "sample_rate": 44_100, "bit_rate": 128_000}}
    assert speech_fields(json.dumps(mp3).encode(), ONE)["response_format"] == "mp3"
    for wrong in (b"", b"[]", json.dumps(body | {"transcript": " "}).encode()):
        with pytest.raises(UnusableMessageError):
            speech_fields(wrong, ONE)
    assert json.loads(error_frame("c", "m", "e"))["error"] == "m"
