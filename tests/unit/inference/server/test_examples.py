"""Runs every example that needs a server only."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS

EXAMPLES = Path(__file__).parents[4] / "examples"
NEEDS_MORE = ("kubectl", "ffplay")  # missing on a machine without a cluster or a loudspeaker
PATCH_SECONDS = 0.16


@pytest.fixture
async def narrator(
    start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    async with start_server(tone_model, model_name="narrator", voices_dir=tmp_path / "voices") as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        monkeypatch.setenv("VOXFLEET_URL", server.url)
        monkeypatch.setenv("VOXFLEET_MODEL", "narrator")
        monkeypatch.chdir(tmp_path)
        yield server


def example(name: str) -> Any:
    """Load an example as a module; it reads its environment at import."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


async def test_openais_client_with_and_without_events(narrator: Any, tmp_path: Path) -> None:
    module = example("openai_client")
    await asyncio.to_thread(module.speak, "Ten letters.", tmp_path / "speech.wav")
    assert (tmp_path / "speech.wav").read_bytes()[:4] == b"RIFF"
    done = await asyncio.to_thread(module.speak_with_events, "Ten letters.", tmp_path / "speech.mp3")
    assert done["sentences"][0]["text"] == "Ten letters."
    assert (tmp_path / "speech.mp3").stat().st_size > 1000
    assert narrator.model.prefilled[-1] == "Ten letters."


async def test_streaming_playback_feeds_a_player(
    narrator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXFLEET_PLAYER", "dd status=none of=heard-{rate}.pcm")
    assert await asyncio.to_thread(example("streaming_playback").play, "Eight...") > 0
    heard = (tmp_path / "heard-24000.pcm").stat().st_size / 2 / 24000
    assert heard == pytest.approx(8 * PATCH_SECONDS, abs=0.01)
    assert narrator.load.first_audio_seconds_p95 is not None


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    encoder = make_encoder(FORMATS["wav"], 44100, 44100)
    tone = (0.3 * np.sin(np.arange(2 * 44100) / 20)).astype(np.float32)
    (tmp_path / "ada.wav").write_bytes(encoder.encode(tone) + encoder.finish())
    return tmp_path / "ada.wav"


async def test_cloning_makes_a_voice_and_speaks_with_it(narrator: Any, recording: Path, tmp_path: Path) -> None:
    module = example("cloning")
    voice_id = await asyncio.to_thread(module.clone, recording, "What I said.", "Hello you.", tmp_path / "cloned.wav")
    assert voice_id.startswith("voice_")
    assert narrator.model.prompts[-1].text == "What I said."
    assert (tmp_path / "cloned.wav").stat().st_size > 44100


async def test_live_text_is_spoken_as_it_is_written(narrator: Any, tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("It is ", "raining. And ", "it will not ", "stop."):
            yield piece

    said = await example("live_text").speak_live(pieces(), tmp_path / "live.wav")
    assert [each.get("text") for each in said if each["type"] == "sentence.started"] == [
        "It is raining.",
        "And it will not stop.",
    ]
    assert said[-1]["type"] == "session.done"
    assert seconds_of(tmp_path / "live.wav") > (14 + 21) * PATCH_SECONDS
    assert narrator.model.prefilled[-1] == "And it will not stop."


async def test_the_commands_of_the_curl_page_work(narrator: Any, recording: Path, tmp_path: Path) -> None:
    assert recording.name == "ada.wav"
    blocks = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "curl.md").read_text(encoding="utf-8"), re.DOTALL)
    script = "\n".join(block for block in blocks if not any(word in block for word in NEEDS_MORE))
    assert script.count("curl ") >= 10
    command = ["bash", "-euo", "pipefail", "-c", script]
    environment = {"URL": narrator.url, "PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "*"}
    ran = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    output = ran.stdout.decode()
    assert "speech.audio.done" in output
    assert '"deleted":true' in output
    assert (tmp_path / "again.flac").read_bytes()[:4] == b"fLaC"
    assert (tmp_path / "hello.wav").read_bytes()[:4] == b"RIFF"


def test_every_example_is_named_in_the_page_of_examples() -> None:
    page = (EXAMPLES / "curl.md").read_text(encoding="utf-8")
    for script in EXAMPLES.glob("*.py"):
        assert f"[{script.name}]({script.name})" in page


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("openai_client", (), "http://127.0.0.1:1: Connection error."),
        ("cloning", ("ada.wav", "What I said."), "http://127.0.0.1:1: Connection error."),
        ("cloning", ("nobody.wav", "What I said."), "nobody.wav: no such file"),
        ("streaming_playback", (), "http://127.0.0.1:1: "),
        ("live_text", (), "ws://127.0.0.1:1: "),
    ],
)
def test_without_a_server_an_example_prints_one_line(
    recording: Path, script: str, arguments: tuple[str, ...], words: str
) -> None:
    said = ran(recording.parent, script, *arguments, VOXFLEET_PLAYER="cat")
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_missing_player_is_named(tmp_path: Path) -> None:
    assert "nobody is not installed; install it, or set VOXFLEET_PLAYER" in ran(
        tmp_path, "streaming_playback", VOXFLEET_PLAYER="nobody -r 1"
    )


def ran(folder: Path, script: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{script}.py"), *arguments],
        cwd=folder,
        env={**os.environ, "VOXFLEET_URL": "http://127.0.0.1:1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr
