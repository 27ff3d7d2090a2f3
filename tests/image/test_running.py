"""`docker run`, as docs/running-the-server.md has it: read-only, without rights, speaking, stopped by Ctrl-C."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import httpx
import openai
import pytest
from documented import arguments, flags_of_gpu_line
from playwright.async_api import expect

if TYPE_CHECKING:
    from conftest import Container

TEXT = "The river is calm today."
USER = "65532"
PAGE_SPEAKS_MS = 120_000


def seconds_of(audio: bytes) -> float:
    with av.open(io.BytesIO(audio)) as opened:
        return sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))


def test_the_line_for_gpus_has_the_same_flags() -> None:
    mine = set(arguments("run"))
    only_mine, only_gpu = mine - flags_of_gpu_line(), flags_of_gpu_line() - mine
    assert only_mine == {"voxfleet-inference:0.1.0-cpu", "--device", "cpu"}
    assert only_gpu == {"voxfleet-inference:0.1.0", "--gpus", "all", "/path/to/VoxCPM1.5:/models/voxcpm:ro"}


def test_curl_speaks(container: Container, tmp_path: Path) -> None:
    file = tmp_path / "hello.mp3"
    body = f'{{"model": "tts-1", "voice": "default", "input": "{TEXT}"}}'
    request = ["--json", body, "--fail-with-body", "--silent", "--show-error", "--output", str(file)]
    subprocess.run(["curl", *request, container.url("/v1/audio/speech")], check=True)
    assert seconds_of(file.read_bytes()) > 0.8


def test_openais_package_speaks(container: Container) -> None:
    client = openai.OpenAI(base_url=container.url("/v1"), api_key="none", max_retries=0)
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="wav")
    assert spoken.content[:4] == b"RIFF"
    assert seconds_of(spoken.content) > 0.8


async def test_the_page_speaks(container: Container, open_page: Any, figures: list[str]) -> None:
    opened = await open_page(container.url("/"))
    page = opened.page
    await page.get_by_label("Text", exact=True).fill(TEXT)
    await page.keyboard.press("Control+Enter")
    spoken = page.get_by_role("button", name=f"Play “{TEXT}”")
    await expect(spoken).to_be_visible(timeout=PAGE_SPEAKS_MS)
    picture = Path(__file__).parents[2] / ".site/image-check.png"
    picture.parent.mkdir(exist_ok=True)
    await page.screenshot(path=picture, full_page=True)
    figures.append(f"the page: {picture}")


def test_it_runs_without_root_rights_or_a_writable_file_system(container: Container) -> None:
    assert container.exec("id", "-u").stdout.strip() == USER
    status = dict(line.split(":\t", 1) for line in container.exec("cat", "/proc/1/status").stdout.splitlines())
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Uid"].split() == [USER] * 4
    for folder in ("/", "/opt/voxfleet", "/opt/voxfleet/kernels", "/models", "/etc"):
        refused = container.exec("touch", f"{folder}/file", check=False)
        assert refused.returncode != 0, folder
        assert "Read-only file system" in refused.stderr
    assert container.exec("sh", "-c", "touch /tmp/file /voices/.file && rm /tmp/file /voices/.file").returncode == 0


def test_no_process_of_a_server_at_rest_runs_as_root(container: Container) -> None:
    users = container.exec("sh", "-c", "stat --format %u /proc/[0-9]*").stdout.split()
    assert set(users) == {USER}


def test_voices_outlive_the_container(start_container: Callable[..., Any], container: Container) -> None:
    volume = f"{container.name}-kept"
    try:
        with start_container(voices=volume) as first:
            first.wait_for_ready()
            body = {"model": "tts-1", "voice": "random", "seed": 3, "input": TEXT, "response_format": "wav"}
            recording = httpx.post(first.url("/v1/audio/speech"), json=body, timeout=300).raise_for_status().content
            form = {"name": "Kept", "transcript": TEXT, "consent": "made by the model itself"}
            files = {"audio_sample": ("a.wav", recording)}
            made = (
                httpx.post(first.url("/v1/audio/voices"), data=form, files=files, timeout=300).raise_for_status().json()
            )
            code, printed = first.interrupt()
            assert code in {0, 130}, printed
        with start_container(voices=volume) as second:
            second.wait_for_ready()
            names = [each["id"] for each in httpx.get(second.url("/v1/audio/voices"), timeout=60).json()["voices"]]
            assert made["id"] in names
    finally:
        container.engine.run("volume", "rm", "--force", volume, check=False)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--devise", "cpu"), "No such option: --devise"),
        (("--max-batch-size", "none"), "--max-batch-size"),
        (("--model-path", "/models/voxcpm"), "missing: the model's weights (no files in /models/voxcpm)"),
    ],
)
def test_a_wrong_flag_is_named(start_container: Callable[..., Any], flags: tuple[str, ...], words: str) -> None:
    with start_container(*flags) as failed:
        printed, _ = failed.process.communicate(timeout=120)
        assert failed.process.returncode not in {0, 130}
        assert words in " ".join(printed.split())
        assert "Traceback" not in printed


def test_ctrl_c_stops_it(start_container: Callable[..., Any]) -> None:
    with start_container() as running:
        running.wait_for_ready()
        code, printed = running.interrupt()
    assert code in {0, 130}, printed
    assert "Traceback" not in printed
    assert running.name not in running.engine.run("ps", "--all", "--format", "{{.Names}}").stdout, "--rm removes it"
