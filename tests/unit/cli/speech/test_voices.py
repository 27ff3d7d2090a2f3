"""`voxfleet voices`: a form that the gateway's own reader takes, and the consent that it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import GatewayError, UsageError
from voxfleet_cli.speech.voices import form

VOICES = "/v1/audio/voices"
ADA = {"id": "voice_1", "object": "audio.voice", "created_at": 1_795_000_000, "name": "Ada", "status": "pending"}
ADA |= {"type": "audio_sample"}


def run(port: Any, *options: str) -> Result:
    return CliRunner().invoke(app, ["voices", "--gateway", port.url, *options], catch_exceptions=False)


def responding(port: Any, method: str, path: str, body: Any, status: int = 200) -> None:
    port.responses[method, path] = (status, {}, [json.dumps(body).encode()])


def test_voices_are_listed(speech_port: Any) -> None:
    default = {"id": "default", "name": "default", "type": "built_in", "created_at": 0}
    responding(speech_port, "GET", VOICES, {"data": [default, ADA]})
    lines = run(speech_port, "list").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["default", "default", "built_in", "ready", "-"],
        ["voice_1", "Ada", "audio_sample", "pending", "2026-11-18", "11:06"],
    ]
    assert json.loads(run(speech_port, "list", "--output", "json").stdout) == [default, ADA]


def test_one_is_shown_and_deleted(speech_port: Any) -> None:
    responding(speech_port, "GET", f"{VOICES}/voice_1", ADA | {"consent": "Agreed."})
    responding(speech_port, "DELETE", f"{VOICES}/voice_1", {"deleted": True})
    assert "consent     Agreed.\n" in run(speech_port, "show", "voice_1").stdout
    assert run(speech_port, "delete", "voice_1").stdout == "voice voice_1 is deleted\n"
    deleted = json.loads(run(speech_port, "delete", "voice_1", "--output", "json").stdout)
    assert deleted == {"id": "voice_1", "deleted": True}
    responding(speech_port, "DELETE", f"{VOICES}/voice_2", {"error": {"message": "no voice 'voice_2'"}}, 404)
    with pytest.raises(GatewayError, match="no voice 'voice_2'"):
        run(speech_port, "delete", "voice_2")


def test_a_recording_needs_transcript_and_consent(speech_port: Any, tmp_path: Path) -> None:
    recording, transcript = tmp_path / "ada.wav", tmp_path / "said"
    recording.write_bytes(b"RIFF\r\n--\0")
    transcript.write_text("What I say.\n")
    responding(speech_port, "POST", VOICES, ADA)
    given = ["add", "Ada", "--recording", str(recording)]
    with pytest.raises(UsageError, match="--transcript is needed"):
        run(speech_port, *given, "--consent", "yes, on 3 May")
    with pytest.raises(UsageError, match="--consent is needed"):
        run(speech_port, *given, "--transcript", "x")
    assert not speech_port.requests
    result = run(speech_port, *given, "--transcript", f"@{transcript}", "--consent", "Agreed on 3 May")
    assert "voice_1" in result.stdout
    sent = speech_port.requests[-1][3]
    assert b'name="transcript"\r\n\r\nWhat I say.\r\n' in sent
    assert b'name="audio_sample"; filename="ada.wav"\r\n\r\nRIFF\r\n--\0\r\n' in sent


def test_a_seed_needs_neither(speech_port: Any) -> None:
    responding(speech_port, "POST", VOICES, ADA)
    run(speech_port, "add", "Seven", "--seed", "7", "--model", "m")
    assert json.loads(speech_port.requests[-1][3]) == {"name": "Seven", "model": "m", "seed": 7}
    for wrong in (["add", "x"], ["add", "x", "--seed", "1", "--recording", "r"]):
        with pytest.raises(UsageError, match="give --recording FILE"):
            run(speech_port, *wrong)


@given(st.text(max_size=20), st.binary(max_size=50))
def test_a_form_has_no_header_of_a_files_name(name: str, content: bytes) -> None:
    body, headers = form({"name": "x"}, name, content)
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    head, _, _ = body.split(b"--" + boundary + b"\r\n")[2].partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == 0
    assert head.count(b'"') == 4
