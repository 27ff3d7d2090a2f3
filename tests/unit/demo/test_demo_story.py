"""The demo's own arithmetic and words, without a cluster."""

import http.server
import json
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from voxfleet_demo.story import RefusedError, Speech, StoryError, speak, wait_until
from voxfleet_demo.telling import TEXTS, describe

PCM = b"\x01\x00" * 44_100


class Door(http.server.BaseHTTPRequestHandler):
    """A gateway that answers one model with a second of audio, and refuses any other in OpenAI's form."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = body["model"] == "narrator"
        answer = PCM if known else json.dumps({"error": {"message": "no such model", "param": "model"}}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Voxfleet-Region", self.headers.get("Voxfleet-Client-Location", "nowhere"))
        self.send_header("Voxfleet-Route", f"rate {body.get('sample_rate')} {self.headers['Prefer']}")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def door() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_speech_is_what_the_listener_saw(door: str) -> None:
    speech = speak(door, "hello", model="narrator", location="50.11,8.68", hold_seconds=7)
    assert speech.pcm == PCM
    assert speech.audio_seconds == pytest.approx(1.0)
    assert (speech.region, speech.route) == ("50.11,8.68", "rate 44100 wait=7")
    assert 0 <= speech.first_audio_seconds <= speech.total_seconds


def test_a_refusal_is_one_line_and_keeps_the_answer(door: str) -> None:
    with pytest.raises(RefusedError, match="answered 404: no such model") as refused:
        speak(door, "hello", model="nobody")
    assert refused.value.response is not None
    assert refused.value.response.json()["error"]["param"] == "model"


def test_a_door_that_is_shut_is_one_line_too() -> None:
    with pytest.raises(RefusedError, match="broke the connection off"):
        speak("http://127.0.0.1:9", "hello", model="narrator")


def test_a_saved_speech_is_a_proper_wav_file(tmp_path: Path) -> None:
    speech = Speech("eu-central", "nearest", 0.1, 0.5, PCM)
    speech.save(tmp_path / "speech.wav")
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (44_100, 1, 44_100)


def test_describe_says_who_when_and_how_long() -> None:
    words = describe(Speech("eu-central", "nearest", 0.123, 2.5, PCM))
    assert words == "eu-central answered (nearest): first audio after 0.12 s, 1.0 s of audio in 2.5 s"


def test_waiting_returns_once_it_is_true() -> None:
    seen = iter(["Waking", "Awake"])
    assert wait_until(lambda: next(seen), "Awake", what="phase", within_seconds=30) < 30


def test_waiting_ends_with_what_was_seen_last() -> None:
    with pytest.raises(StoryError, match=r"phase is 'Failed' after 1 s; expected 'Awake'"):
        wait_until(lambda: "Failed", "Awake", what="phase", within_seconds=1)


def test_the_chinese_text_has_three_hundred_characters() -> None:
    assert len((TEXTS / "hometown.zh.txt").read_text().strip()) == 300
