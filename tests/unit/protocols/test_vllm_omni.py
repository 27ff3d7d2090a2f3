"""vLLM-Omni's messages as those of a session, and back."""

import base64
import io
import json
import wave
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_protocols.translation import UnusableMessageError
from voxfleet_protocols.vllm_omni import VllmOmniSession, begins

STARTED = {"type": "session.started", "sample_rate": 24_000}


def opened(**config: Any) -> VllmOmniSession:
    session = VllmOmniSession("narrator")
    session.received(json.dumps({"type": "session.config", **config}))
    session.event(STARTED)
    return session


def sentence(text: str, at_seconds: float = 0.0) -> dict[str, Any]:
    return {"type": "sentence.started", "index": 0, "text": text, "at_seconds": at_seconds}


def kinds(frames: list[str | bytes]) -> list[Any]:
    return [frame if isinstance(frame, bytes) else json.loads(frame)["type"] for frame in frames]


@pytest.mark.parametrize(
    ("config", "start"),
    [
        ({}, {"model": "narrator"}),
        (
            {"model": "m", "voice": "alloy", "speed": 1.5, "seed": 7, "language": "en"},
            {"model": "m", "voice": "alloy", "speed": 1.5, "seed": 7},
        ),
        (
            {"ref_audio": "data:audio/wav;base64,AAA=", "ref_text": "hi"},
            {"model": "narrator", "reference_audio": "AAA=", "reference_text": "hi"},
        ),
    ],
)
def test_a_config_is_a_session_start(config: dict[str, Any], start: dict[str, Any]) -> None:
    (message,) = VllmOmniSession("narrator").received(json.dumps({"type": "session.config", **config}))
    assert message == {"type": "session.start", "response_format": "pcm", "word_timestamps": False, **start}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"split_granularity": "word"}, "split_granularity"),
        ({"word_timestamps": True}, "word_timestamps"),
        ({"stream_audio": True}, "stream_audio"),
    ],
)
def test_a_config_that_cannot_be_met_names_its_field(config: dict[str, Any], named: str) -> None:
    with pytest.raises(UnusableMessageError, match=f"'{named}'"):
        VllmOmniSession("m").received(json.dumps({"type": "session.config", **config}))


def test_an_utterance_is_one_file_whose_text_is_sent_at_its_end() -> None:
    session = opened()
    assert session.received('{"type": "input.text", "text": "Hello. "}') == []
    assert session.received('{"type": "input.text", "text": "There."}') == []
    assert session.received('{"type": "input.done"}') == [
        {"type": "text.append", "text": "Hello. There."},
        {"type": "text.flush"},
    ]
    frames = session.event(sentence("Hello.")) + session.audio(b"ab") + session.event(sentence("There.", 1.0))
    assert frames + session.audio(b"cd") == []
    start, audio, done, end = session.event({"type": "flushed"})
    assert json.loads(start) == {
        "type": "audio.start", "utterance_index": 0, "sentence_index": 0, "sentence_text": "Hello. There.",
        "format": "wav",
    }  # fmt: skip
    assert isinstance(audio, bytes)
    with wave.open(io.BytesIO(audio)) as file:
        assert (file.getframerate(), file.getnchannels(), file.readframes(9)) == (24_000, 1, b"abcd")
    assert kinds([done, end]) == ["audio.done", "session.done"]
    assert json.loads(end)["total_sentences"] == 1
    (empty,) = session.event({"type": "flushed"})
    assert json.loads(empty) == {"type": "session.done", "utterance_index": 1, "total_sentences": 0}


def test_sentences_are_streamed_between_their_own_messages() -> None:
    session = opened(split_granularity="sentence", stream_audio=True, response_format="pcm")
    assert session.received('{"type": "input.text", "text": "One. "}') == [{"type": "text.append", "text": "One. "}]
    assert session.received('{"type": "input.done"}') == [{"type": "text.flush"}]
    events = [sentence("One."), b"a", b"b", sentence("Two.", 2.0), b"c", {"type": "flushed"}]
    frames = [frame for each in events for frame in (session.audio if isinstance(each, bytes) else session.event)(each)]
    assert kinds(frames) == [
        "audio.start", b"a", b"b", "audio.done", "audio.start", b"c", "audio.done", "session.done"
    ]  # fmt: skip
    first, second = (json.loads(frame) for frame in frames if isinstance(frame, str) and "audio.start" in frame)
    assert (first["sample_rate"], first["channels"], first["sentence_text"]) == (24_000, 1, "One.")
    assert (first["sentence_index"], second["sentence_index"]) == (0, 1)


def test_words_follow_their_sentence_in_milliseconds_from_its_begin() -> None:
    session = opened(split_granularity="sentence", stream_audio=True, response_format="pcm", word_timestamps=True)
    words = [{"word": "Two.", "start": 2.25, "end": 2.5}]
    frames = session.event(sentence("Two.", 2.0)) + session.audio(b"c")
    assert session.event({"type": "sentence.timestamps", "words": words}) == []
    chunk, last, *_ = [json.loads(each) for each in frames[1:] + session.event({"type": "flushed"})]
    assert (base64.b64decode(chunk["audio_b64"]), chunk["timestamps"], chunk["chunk_id"]) == (b"c", None, 0)
    assert last["timestamps"] == [{"word": "Two.", "start_ms": 250, "end_ms": 500}]
    assert (last["audio_b64"], last["chunk_id"]) == ("", 1)


def test_a_config_may_come_again_and_not_change() -> None:
    session = opened(voice="alloy")
    assert session.received('{"type": "session.config", "voice": "alloy"}') == []
    with pytest.raises(UnusableMessageError, match="another connection"):
        session.received('{"type": "session.config", "voice": "nova"}')
    assert session.received('{"type": "session.close"}') == [{"type": "session.end"}]
    (error,) = session.event({"type": "error", "error": {"message": "no such voice"}})
    assert json.loads(error) == {"type": "error", "message": "no such voice"}


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_whatever_else_is_sent_is_refused_in_words(text: str) -> None:
    assert not begins(text)
    with pytest.raises(UnusableMessageError):
        opened().received(text)
