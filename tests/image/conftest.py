"""The image for CPUs: built once by the documented line, run by the other one; nothing is left but pytest's output.

KEEP=1 keeps image and layers for the next run; IMAGE names one that is there, with Jupyter Lab, and builds none;
BASE_IMAGE, DEPENDENCIES and WHEELS (a folder) are for other builds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from voxfleet_testbed.errors import TestbedError
from voxfleet_testbed.images.buildah import CA_BUNDLE, pip_configuration, pip_settings
from voxfleet_testbed.images.engine import Engine, find_engine
from voxfleet_testbed.images.project import build_base_archive
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from documented import ROOT, arguments

TAG = "localhost/voxfleet-inference:image-check"
READY_SECONDS = 300.0  # PyTorch's import from a cold disk, and a warm-up sentence
STOP_SECONDS = 120.0
FIGURES: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    for line in FIGURES:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Lines to print at the end."""
    return FIGURES


@dataclass(frozen=True, slots=True)
class Container:
    """A container in the foreground, as a user starts it."""

    engine: Engine
    name: str
    process: subprocess.Popen[str]
    ports: dict[int, int]  # of the container -> of this machine, on loopback

    def url(self, path: str = "", port: int = 6006) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def exec(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.engine.run("exec", self.name, *command, check=check)

    def wait_for_ready(self) -> None:
        self.wait_for(lambda: httpx.get(self.url("/health/ready"), timeout=30).status_code == 200)

    def wait_for(self, is_met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stdout.read() if self.process.stdout else ""
            with contextlib.suppress(httpx.TransportError):
                if is_met():
                    return
            time.sleep(0.2)
        pytest.fail(f"not ready in {READY_SECONDS:.0f} s: {self.engine.run('logs', self.name, check=False).stdout}")

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit status and what was printed."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=STOP_SECONDS)
        return self.process.returncode, output


@pytest.fixture(scope="session")
def engine(testbed_settings: Settings) -> Iterator[Engine]:
    folder = testbed_settings.cache / "image-check"
    try:
        found = find_engine(folder)
    except TestbedError as error:
        pytest.exit(str(error), returncode=1)
    yield found
    if os.environ.get("KEEP") or os.environ.get("IMAGE"):
        return
    if found.program == "docker":
        found.run("rmi", "--force", TAG, check=False)
    else:  # the store is this check's own
        found.run("rmi", "--all", "--force", check=False)
        subprocess.run(["umount", "--lazy", str(folder / "store/overlay")], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def image(engine: Engine, testbed_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image for CPUs, with Jupyter Lab."""
    if given := os.environ.get("IMAGE"):
        return given
    base = os.environ.get("BASE_IMAGE")
    if not base:
        base, archive = build_base_archive(testbed_settings)
        engine.run("load", "--input", str(archive))
    settings = tmp_path_factory.mktemp("pip") / "pip.conf"
    settings.write_text(pip_configuration(pip_settings()))
    secrets = [f"--secret=id=pip,src={settings}"] + [f"--secret=id=ca,src={CA_BUNDLE}"] * CA_BUNDLE.exists()
    more = [f"--build-arg=BASE_IMAGE={base}", "--build-arg=JUPYTER=install", *secrets]
    if dependencies := os.environ.get("DEPENDENCIES"):
        more.append(f"--build-arg=DEPENDENCIES={dependencies}")
    if wheels := os.environ.get("WHEELS"):
        more += [f"--build-context=wheels={wheels}", "--build-arg=PIP_NO_INDEX=1"]
    verb, *rest, context = arguments("build", tag=TAG)
    began = time.monotonic()
    os.chdir(ROOT)
    built = engine.run(verb, *rest, *more, context, check=False)
    seconds = time.monotonic() - began
    assert built.returncode == 0, (built.stdout + built.stderr)[-6000:]
    size = int(engine.run("image", "inspect", "--format", "{{.Size}}", TAG).stdout)
    FIGURES.append(f"{engine.program} built the image in {seconds:.0f} s; {size / 1e9:.2f} GB unpacked")
    return TAG


@pytest.fixture(scope="session")
def start_container(engine: Engine, image: str) -> Callable[..., Any]:
    """Start the image by the documented line; `extra` come before the image, `flags` at its end."""

    @contextlib.contextmanager
    def start(*flags: str, extra: tuple[str, ...] = (), voices: str = "", published: tuple[int, ...] = ()) -> Any:
        name = f"voxfleet-check-{uuid.uuid4().hex[:8]}"
        volume = voices or f"{name}-voices"
        ports = dict(zip((6006, *published), ports_for_later(1 + len(published)), strict=True))
        first, *others = (f"127.0.0.1:{mine}:{its}" for its, mine in ports.items())
        verb, *words = arguments("run", tag=image, port=first, voices=f"{volume}:/voices")
        more = [f"--name={name}", *(f"--publish={each}" for each in others), *extra]
        process = engine.start(verb, *more, *words, *flags)
        try:
            yield Container(engine, name, process, ports)
        finally:
            engine.run("rm", "--force", name, check=False)
            process.kill()
            process.wait(STOP_SECONDS)
            if not voices:
                engine.run("volume", "rm", "--force", volume, check=False)

    return start


@pytest.fixture(scope="module")
def container(start_container: Callable[..., Any]) -> Iterator[Container]:
    with start_container() as running:
        running.wait_for_ready()
        yield running
