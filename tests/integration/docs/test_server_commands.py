"""The requests of the docs, sent to a real server that `inference/start.sh` starts as the tutorial says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.settings import REPOSITORY

TEST = "tests/integration/docs/test_server_commands.py"
START_SECONDS = 120.0  # of a loaded machine; a quiet one needs four
LOCAL = re.compile(r"http://(?:127\.0\.0\.1|localhost):6006")


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def server(commands: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tutorial's own command line, with free ports; the environment exists already, so `--setup` is left out."""
    [start] = [each for each in commands if "--setup" in each.words]
    folder = tmp_path_factory.mktemp("server")
    port, metrics, internal = map(str, ports_for_later(3))
    words = [str(REPOSITORY / start.words[0]), *(word for word in start.words[1:] if word != "--setup")]
    words += ["--host", "127.0.0.1", "--port", port, "--metrics-port", metrics, "--internal-port", internal]
    words += ["--voices-dir", str(folder), "--model-aliases", "tts-1,narrator"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        assert "this is the demo voice" in log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def script_of(page: str, blocks: list[Any], site: dict[str, ModuleType], url: str) -> str:
    """The blocks of a page that a server answers, as one script."""
    checks = site["command_checks"]
    sent = {"curl", "cmp", ".venv/bin/python"}
    wanted = [
        block.text
        for block in blocks
        if block.has_commands
        and block.place.partition(":")[0] == page
        and {each.program for each in site["command_blocks"].commands_of(block) if not each.not_run} & sent
    ]
    assert checks.SERVER_PAGES[page] == TEST
    return LOCAL.sub(url, "\n".join(wanted))


def run(script: str, folder: Path, url: str) -> str:
    environment = {**os.environ, "VOXFLEET_URL": url, "KEY": "sk-none", "NO_PROXY": "*"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_page_with_requests_is_sent(site: dict[str, ModuleType]) -> None:
    pages = [page for page, test in site["command_checks"].SERVER_PAGES.items() if test == TEST]
    assert sorted(pages) == ["docs/keys-and-tenants.md", "docs/speech-api.md", "docs/tutorial/first-speech.md"]
    assert all((REPOSITORY / test).is_file() for test in site["command_checks"].SERVER_PAGES.values())


@pytest.mark.timeout(300)
def test_the_tutorial_speaks(blocks: list[Any], site: dict[str, ModuleType], server: str, checkout: Path) -> None:
    said = run(script_of("docs/tutorial/first-speech.md", blocks, site, server), checkout, server)
    assert "voice_" in said
    assert "speech.wav: spoken by" in said
    assert {path.name for path in checkout.glob("*.*") if not path.is_symlink()} >= {
        *("hello.mp3", "speech.wav", "speech.mp3", "seven.wav", "once.wav", "again.wav")
    }
    assert (checkout / "seven.wav").read_bytes()[:4] == b"RIFF"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", ["docs/speech-api.md", "docs/keys-and-tenants.md"])
def test_the_requests_of_a_page_are_served(
    page: str, blocks: list[Any], site: dict[str, ModuleType], server: str, checkout: Path
) -> None:
    request = '{"model": "narrator", "input": "What I say in the recording.", "response_format": "wav"}'
    run(f"curl --fail-with-body --output ada.wav {server}/v1/audio/speech --json '{request}'", checkout, server)
    script = script_of(page, blocks, site, server)
    assert "curl " in script
    assert '"error"' not in run(script, checkout, server)
    for path in checkout.glob("*.mp3"):
        assert path.stat().st_size > 1000


def test_start_sh_checks_what_it_needs_and_explains_each_flag(commands: list[Any]) -> None:
    found = [each for each in commands if each.program == "inference/start.sh"]
    script = str(REPOSITORY / "inference/start.sh")
    ports = zip(("--port", "--metrics-port", "--internal-port"), map(str, ports_for_later(3)), strict=True)
    words = [script, "--check", "--device", "cpu", *(word for pair in ports for word in pair)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    explained = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    flags = {word for each in found for word in each.words if word.startswith("--")}
    assert "--setup" in flags
    assert {flag for flag in flags if flag not in explained and flag != "--device"} == set()
