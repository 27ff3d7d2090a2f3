"""Sessions with any messages in any order: each message gets its response, and the session ends with its code."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATCH_BYTES = 2 * 7056
START = {"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm", "sample_rate": 44100}
KINDS = {"session.started", "sentence.started", "session.done", "cancelled", "flushed", "error"}
CLOSE_CODES = {1000, 1001, 1008, 1011, 1013}
BOUNDED = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

words = st.sampled_from(["Hello there. ", "no end", "你好。", "", "1.5 ", "\n\n", "?!", "🙂"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="~"),  # a ~ makes the tone model's first attempt longer
    max_size=12,
)
kinds = st.sampled_from(["session.start", "text.append", "text.flush", "cancel", "session.end", "nothing", ""])
good = st.one_of(
    st.just(START),
    st.builds(lambda text: {"type": "text.append", "text": text}, words),
    st.sampled_from([{"type": "text.flush"}, {"type": "cancel"}]),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
odd = st.one_of(
    st.builds(lambda kind, text, more: {**more, "type": kind, "text": text}, kinds, anything,
              st.dictionaries(st.sampled_from(["model", "voice", "speed", "seed", "input"]), anything, max_size=2)),
    anything,
)  # fmt: skip
frames = st.one_of(
    good.map(json.dumps), good.map(json.dumps), odd.map(json.dumps), st.text(max_size=20), st.binary(max_size=20)
)


def receive_to_the_end(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Return every message and the bytes of audio, once the server has closed the session."""
    messages, audio_bytes = [], 0
    try:
        while True:
            message = socket.recv(timeout=60)
            if isinstance(message, bytes):
                audio_bytes += len(message)
            else:
                messages.append(json.loads(message))
    except ConnectionClosed:
        return messages, audio_bytes


def check(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        assert message["type"] in KINDS, message
        if message["type"] == "error":
            assert {"message", "type", "param", "code"} <= message["error"].keys()
            assert message["error"]["message"]


@BOUNDED
@given(said=st.lists(frames, max_size=12))
def test_any_sequence_of_messages_gets_responses_and_ends(tone_server_url: str, said: list[str | bytes]) -> None:
    with connect(tone_server_url.replace("http", "ws") + "/v1/audio/speech/stream", compression=None) as socket:
        try:
            for frame in said:
                socket.send(frame)
            socket.send(json.dumps({"type": "session.end"}))
        except ConnectionClosed:
            pass
        messages, _ = receive_to_the_end(socket)
        check(messages)
        assert socket.close_code in CLOSE_CODES
        assert socket.close_code != 1011, "no message makes the server fail"
        if socket.close_code == 1000:
            assert messages[-1]["type"] == "session.done"


@BOUNDED
@given(texts=st.lists(words, min_size=1, max_size=8))
def test_every_word_is_spoken_once(tone_server_url: str, texts: list[str]) -> None:
    with connect(tone_server_url.replace("http", "ws") + "/v1/audio/speech/stream", compression=None) as socket:
        for message in (START, *({"type": "text.append", "text": text} for text in texts), {"type": "session.end"}):
            socket.send(json.dumps(message))
        messages, audio_bytes = receive_to_the_end(socket)
        assert socket.close_code == 1000, messages
    check(messages)
    patches = messages[-1]["usage"]["output_tokens"]
    sentences = [message["text"] for message in messages if message["type"] == "sentence.started"]
    assert patches == sum(map(len, sentences)), "the tone model makes a patch per letter"
    assert audio_bytes >= patches * PATCH_BYTES
