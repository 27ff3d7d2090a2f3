"""The scenario's steps against a stub gateway: what a response carries, what a rejection says, how waiting ends."""

import http.server
import json
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from voxfleet_demo.scenario import RejectedError, ScenarioError, Speech, speak, wait_until

PCM = b"\x01\x00" * 44_100


class Gateway(http.server.BaseHTTPRequestHandler):
    """A stub gateway: one second of audio for model "narrator", a 404 in OpenAI's form for any other."""

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
def gateway_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_speech_carries_audio_headers_and_client_times(gateway_url: str) -> None:
    speech = speak(gateway_url, "hello", model="narrator", location="50.11,8.68", hold_seconds=7)
    assert speech.pcm == PCM
    assert speech.audio_seconds == pytest.approx(1.0)
    assert (speech.region, speech.route) == ("50.11,8.68", "rate 44100 wait=7")
    assert 0 <= speech.first_audio_seconds <= speech.total_seconds


def test_a_rejection_is_one_line_and_keeps_the_response(gateway_url: str) -> None:
    with pytest.raises(RejectedError, match="answered 404: no such model") as refused:
        speak(gateway_url, "hello", model="nobody")
    assert refused.value.response is not None
    assert refused.value.response.json()["error"]["param"] == "model"


def test_a_refused_connection_is_one_line_too() -> None:
    with pytest.raises(RejectedError, match=r"the connection to http://127.0.0.1:9 failed"):
        speak("http://127.0.0.1:9", "hello", model="narrator")


def test_a_saved_speech_is_a_proper_wav_file(tmp_path: Path) -> None:
    speech = Speech("eu-central", "nearest", 0.1, 0.5, PCM)
    speech.save(tmp_path / "speech.wav")
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (44_100, 1, 44_100)


def test_waiting_returns_once_the_value_is_the_expected_one() -> None:
    seen = iter(["Waking", "Awake"])
    assert wait_until(lambda: next(seen), "Awake", what="phase", within_seconds=30) < 30


def test_waiting_ends_with_the_last_value() -> None:
    with pytest.raises(ScenarioError, match=r"phase is 'Failed' after 1 s; expected 'Awake'"):
        wait_until(lambda: "Failed", "Awake", what="phase", within_seconds=1)
