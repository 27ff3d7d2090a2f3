"""A request over HTTP, and its replay from the server's log: the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from voxfleet_inference.commands.cli import app

TEXT = "The weather is fine today. It costs 3 dollars. 今天天气很好。"


@pytest.fixture(scope="module")
def logging_server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("logging")
    with start_server(folder, tiny, "--deterministic", "--log-text", "--voices-dir", str(folder / "voices")) as server:
        server.wait_for_ready()
        yield server


def said(server: Any, request_id: str, **changes: Any) -> bytes:
    body = {"model": "voxcpm-1.5", "input": TEXT, "voice": "default", **changes}
    headers = {"X-Request-Id": request_id}
    answer = server.http.post(server.url("/v1/audio/speech"), json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


def replayed(log: Path, model: Path, request_id: str, output: Path, *flags: str) -> Any:
    arguments = ["synthesize", "--model-path", str(model), "--from-log", str(log), "--request-id", request_id]
    return CliRunner().invoke(app, [*arguments, "-o", str(output), *flags])


def test_the_replay_of_a_logged_request_has_the_same_bytes(
    logging_server: Any, tiny: Path, tmp_path: Path, wait_for: Any
) -> None:
    form = {"name": "seven", "seed": 7}
    made = logging_server.http.post(logging_server.url("/v1/audio/voices"), json=form, timeout=120)
    assert made.status_code in {200, 201}, made.text
    sent = {
        "drawn": said(logging_server, "drawn", voice="random", response_format="opus", speed=1.5, cfg_value=3),
        "kept": said(logging_server, "kept", voice=made.json()["id"], response_format="wav", stream=False, seed=3),
    }
    voices = ("--voices-dir", str(logging_server.stderr.parent / "voices"))
    for request_id, audio in sent.items():
        wait_for(logging_server.errors, lambda log, line=f'"request_id": "{request_id}"': line in log)
        done = replayed(logging_server.stderr, tiny, request_id, tmp_path / request_id, *voices)
        assert done.exit_code == 0, done.output
        assert (tmp_path / request_id).read_bytes() == audio, request_id


def test_requests_decoded_together_have_the_same_bytes_as_alone(logging_server: Any) -> None:
    texts, voices = ("Hello there, how are you?", "今天天气很好。", "Mixed 我们 go."), ("default", "random")

    def one(number: int) -> bytes:
        changes = {"input": texts[number % 3], "voice": voices[number % 2], "inference_timesteps": 2 + number % 5}
        return said(logging_server, f"together-{number}", seed=number, response_format="pcm", **changes)

    alone = [one(number) for number in range(6)]
    assert len(set(alone)) == len(alone)
    for order in ([5, 4, 3, 2, 1, 0], [2, 0, 4, 1, 5, 3]):
        with ThreadPoolExecutor(len(order)) as callers:
            assert list(callers.map(one, order)) == [alone[number] for number in order]


@pytest.mark.parametrize("changes", [{}, {"stream": False}])
def test_equal_requests_at_once_have_the_same_bytes(logging_server: Any, changes: dict[str, Any]) -> None:
    """What is retried must not depend on the load."""
    kind = "whole" if changes else "streamed"

    def one(number: int) -> bytes:
        return said(logging_server, f"{kind}-{number}", seed=11, response_format="pcm", **changes)

    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(one, range(8))) == {one(8)}
    lines = [json.loads(line) for line in logging_server.errors().splitlines() if '"event": "speech"' in line]
    attempts = [line["attempts"] for line in lines if line["request_id"].startswith(kind)]
    assert attempts == [attempts[0]] * 9
    assert changes or attempts[0] == [1, 1, 1]


LINE = {
    "event": "speech", "request_id": "a", "outcome": "complete", "input_characters": 3, "attempts": [1],
    "request": {"model": "voxcpm-1.5", "seed": 1}, "settings": {"device": "cpu", "dtype": "float32"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "flags", "words"),
    [
        ({"request_id": "b"}, (), "has no line of a speech request with the id 'a'"),
        ({"outcome": "disconnected"}, (), "was not spoken to its end"),
        ({}, (), "the log does not hold it (--log-text): give it with --text"),
        ({}, ("--text", "four"), "the text had 3 characters; --text has 4"),
        ({"reference_audio_sha256": "0"}, ("--text", "abc"), "give it with --reference-audio and --reference-text"),
        ({}, ("--text", "abc"), "config.json"),
    ],
)
def test_a_missing_part_of_a_replay_is_one_line(
    tmp_path: Path, line: dict[str, Any], flags: tuple[str, ...], words: str
) -> None:
    log = tmp_path / "log"
    log.write_text(f"2026-01-01T00:00:00Z {json.dumps({**LINE, **line})}\nno json {{\n")
    done = replayed(log, tmp_path / "nowhere", "a", tmp_path / "out", *flags)
    assert done.exit_code == 3
    assert words in done.output
    assert len(done.output.splitlines()) == 1


def test_another_recording_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(json.dumps({**LINE, "reference_audio_sha256": "00ff"}))
    (tmp_path / "other.wav").write_bytes(b"other")
    flags = ("--text", "abc", "--reference-audio", str(tmp_path / "other.wav"), "--reference-text", "what it says")
    done = replayed(tmp_path / "log", tmp_path, "a", tmp_path / "out", *flags)
    assert (done.exit_code, "is another recording" in done.output) == (3, True)
