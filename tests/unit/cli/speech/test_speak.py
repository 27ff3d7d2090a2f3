"""`voxfleet speak`: what is sent, what is written, and what a failure leaves."""

import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import CliError, GatewayError, OutputError, UsageError
from voxfleet_cli.speech.public_api import KEY_VARIABLE

SPEECH, WAKE, MODELS = ("POST", "/v1/audio/speech"), ("POST", "/v1/models/m/wake"), ("GET", "/v1/models")
AUDIO = (200, {"Content-Type": "audio/mpeg", "Voxfleet-Region": "eu", "Voxfleet-Route": "hold-wake"}, [b"ID3", b"rest"])
WAKING = (202, {}, [json.dumps({"region": "eu", "state": "waking", "ready_in_seconds": 20}).encode()])


def run(port: Any, *options: str, **more: Any) -> Result:
    return CliRunner().invoke(app, ["speak", "--gateway", port.url, *options], catch_exceptions=False, **more)


@pytest.fixture
def port(speech_port: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    models = {"data": [{"id": "m"}, {"id": "apps/m"}]}
    speech_port.responses = {SPEECH: AUDIO, WAKE: WAKING, MODELS: (200, {}, [json.dumps(models).encode()])}
    return speech_port


def test_audio_becomes_a_file_and_a_wake_is_announced(port: Any, tmp_path: Path) -> None:
    target = tmp_path / "out.MP3"
    result = run(port, "Hello.", "-o", str(target), "--voice", "nova", "--wait", "90")
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == b"ID3rest"
    assert [each.name for each in tmp_path.iterdir()] == ["out.MP3"]
    assert "region eu is waking, about 20 s" in result.stderr
    assert "7 bytes of mp3" in result.stderr
    assert "served by eu (hold-wake)" in result.stderr
    _, _, headers, body = port.requests[-1]
    assert (headers["Prefer"], "Authorization" in headers) == ("wait=90", False)
    assert headers["Host"] == f"127.0.0.1:{port.port}"
    assert json.loads(body) == {"model": "m", "input": "Hello.", "voice": "nova", "response_format": "mp3"}


def test_the_report_is_json_on_standard_output_alone(port: Any, tmp_path: Path) -> None:
    figures = {"Voxfleet-Sample-Rate": "44100", "Voxfleet-Seed": "7", "Voxfleet-Region": "eu", "Voxfleet-Route": "near"}
    port.responses[SPEECH] = (200, figures, [wav(frames=22050)])
    target = tmp_path / "out.wav"
    result = run(port, "Hello.", "-o", str(target), "--json")
    found = json.loads(result.stdout)
    assert {name: found[name] for name in ("file", "format", "bytes", "seconds", "samples", "sample_rate")} == {
        "file": str(target), "format": "wav", "bytes": 44144, "seconds": 0.5, "samples": 22050, "sample_rate": 44100,
    }  # fmt: skip
    assert (found["region"], found["route"], found["seed"]) == ("eu", "near", 7)
    assert 0 < found["first_audio_ms"] <= found["total_ms"]
    assert "region eu is waking" in result.stderr


def wav(frames: int) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(b"\0\0" * frames)
    return content.getvalue()


def test_a_compressed_format_says_nothing_of_its_length_in_time(port: Any, tmp_path: Path) -> None:
    found = json.loads(run(port, "Hi.", "-o", str(tmp_path / "a.mp3"), "--model", "m", "--json").stdout)
    assert (found["seconds"], found["samples"], found["bytes"]) == (None, None, 7)


def test_a_pipe_of_audio_has_no_json_in_it(port: Any) -> None:
    with pytest.raises(UsageError, match="--json prints to standard output"):
        run(port, "Hi.", "-o", "-", "--json")
    assert not port.requests


def test_a_pipe_in_and_a_pipe_out(port: Any) -> None:
    result = run(port, "-o", "-", "--model", "m", input="From a pipe.")
    assert (result.exit_code, result.stdout_bytes) == (0, b"ID3rest")
    sent = json.loads(port.requests[-1][3])
    assert (sent["input"], sent["response_format"]) == ("From a pipe.", "wav")


def test_the_key_is_of_a_file_or_of_the_environment(port: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("vf-of-the-file\n")
    monkeypatch.setenv(KEY_VARIABLE, "vf-of-the-environment")
    for options, expected in (((), "environment"), (("--key-file", str(key)), "file")):
        run(port, "Hi.", "-o", str(tmp_path / "a.mp3"), "--model", "m", *options)
        assert port.requests[-1][2]["Authorization"] == f"Bearer vf-of-the-{expected}"
    key.write_text("two words")
    with pytest.raises(UsageError, match="must have one API key and nothing else"):
        run(port, "Hi.", "-o", str(tmp_path / "a.mp3"), "--key-file", str(key))


def refused(status: int, message: str, **headers: str) -> tuple[int, dict[str, str], list[bytes]]:
    return status, headers, [json.dumps({"error": {"message": message}}).encode()]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (refused(401, "No key."), "No key. Give a key by --key-file or VOXFLEET_API_KEY"),
        (refused(503, "Too many.", **{"Retry-After": "7"}), "Too many. Try again in 7 s."),
        ((502, {}, [b"<html>"]), "status 502"),
    ],
)
def test_a_refusal_is_the_gateways_words_and_the_way_out(
    port: Any, tmp_path: Path, response: Any, message: str
) -> None:
    port.responses[SPEECH] = response
    with pytest.raises(GatewayError, match=message):
        run(port, "Hi.", "-o", str(tmp_path / "a.mp3"))
    assert not list(tmp_path.iterdir())


def test_audio_that_breaks_off_leaves_no_file(port: Any, tmp_path: Path) -> None:
    port.is_cut = True
    with pytest.raises(GatewayError, match="broke off"):
        run(port, "Hi.", "-o", str(tmp_path / "a.mp3"), "--model", "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("Hi.", "-o", "a.xyz"), "its ending must be one of"),
        (("-o", "a.wav"), "there is no text"),
        (("Hi.", "--file", "f", "-o", "a.wav"), "not both"),
        (("--file", "/nonexistent", "-o", "a.wav"), "can't be read: No such file or directory$"),
        (("Hi.", "-o", "/nonexistent/a.wav"), "can't be written: No such file or directory$"),
    ],
)
def test_arguments_that_are_wrong(port: Any, options: tuple[str, ...], message: str) -> None:
    with pytest.raises((UsageError, OutputError), match=message):
        run(port, *options, input="")


@pytest.mark.parametrize("url", ["gateway:6006", "ftp://g", "http://", "http://g/api", "http://g:port"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="--gateway"):
        CliRunner().invoke(app, ["speak", "Hi.", "-o", "a.wav", "--gateway", url], catch_exceptions=False)


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    command = ["speak", "Hi.", "-o", str(tmp_path / "a.wav"), "--gateway", "http://127.0.0.1:1"]
    with pytest.raises(CliError, match=r"127\.0\.0\.1:1 did not respond: Connection refused$"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_a_gateway_is_found_by_a_kubeconfig(port: Any, served: Any, tmp_path: Path) -> None:
    api, _ = served
    container = {"name": "gateway", "ports": [{"containerPort": 6006, "name": "http"}]}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pod = {
        "metadata": {"name": "gw-1", "labels": {"voxfleet.dev/region": "eu"}},
        "spec": {"containers": [container]},
        "status": ready,
    }
    api.objects["/api/v1/namespaces/vox/pods"], api.ports[6006] = {"items": [pod]}, port.port
    target = tmp_path / "out.mp3"
    where = ["--kubeconfig", api.kubeconfig, "--system-namespace", "vox", "--region", "eu"]
    result = CliRunner().invoke(app, ["speak", "Hi.", "-o", str(target), *where], catch_exceptions=False)
    assert (result.exit_code, target.read_bytes()) == (0, b"ID3rest"), result.output
