"""The real server: two processes, a tiny checkpoint, its own ports."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from typer.testing import CliRunner
from voxfleet_inference.commands.cli import app

START_SECONDS = 120.0  # importing torch alone takes half a minute on a slow machine
TOKEN = "a token for tests"


def free_ports(count: int) -> list[int]:
    """Return ports below the ephemeral range: no outgoing connection of another test takes them before the server."""
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = random.sample(range(first_ephemeral // 2, first_ephemeral), 200)
    return list(itertools.islice(filter(is_free, candidates), count))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass
class ServerProcess:
    process: subprocess.Popen[bytes]
    ports: list[int]
    termination_log: Path
    stderr: Path
    started_at: float
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def url(self, path: str = "", port: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def get(self, path: str, port: int = 0) -> httpx.Response:
        return self.http.get(self.url(path, port), headers={"Authorization": f"Bearer {TOKEN}"})

    def load(self) -> dict[str, Any]:
        try:
            return dict(self.get("/internal/load", 2).json())
        except httpx.TransportError:
            return {"state": "silent"}

    def wait_for_load(self, *states: str) -> dict[str, Any]:
        return dict(wait_for(self.load, lambda load: load["state"] in states))

    def wait_for_ready(self) -> None:
        assert self.wait_for_load("ready", "failed")["state"] == "ready", self.errors()

    def metric(self, name: str) -> float:
        lines = self.http.get(self.url("/metrics", 1)).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"voxfleet_inference_{name} "))

    def engine_pid(self) -> int:
        """Return the engine's process, a child of one of the server's threads; wait while it is being restarted."""
        children = wait_for(lambda: children_of(self.process.pid), lambda found: len(found) > 0)
        return int(children[0])

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def wait_for_idle(self) -> None:
        nothing = {"open_requests": 0, "running_sequences": 0, "waiting_sequences": 0}
        wait_for(self.load, lambda load: {name: load[name] for name in nothing} == nothing)

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url("/v1"), api_key="none", max_retries=0)

    def errors(self) -> str:
        return self.stderr.read_text()


def children_of(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def wait_for(observe: Callable[[], Any], is_enough: Callable[[Any], bool], seconds: float = START_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not is_enough(seen := observe()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


@contextmanager
def server_process(folder: Path, model_path: Path, *flags: str) -> Iterator[ServerProcess]:
    folder.mkdir(exist_ok=True)
    ports, stderr, termination_log = free_ports(3), folder / "stderr.txt", folder / "termination.txt"
    names = ("--port", "--metrics-port", "--internal-port")
    listening = [part for name, port in zip(names, ports, strict=True) for part in (name, str(port))]
    command = [sys.executable, "-m", "voxfleet_inference", "serve", "--model-path", str(model_path)]
    command += ["--device", "cpu", "--dtype", "fp32", "--host", "127.0.0.1", "--cpu-threads", "1", *listening]
    command += ["--internal-token-sha256", hashlib.sha256(TOKEN.encode()).hexdigest(), *flags]
    environment = {**os.environ, "VOXFLEET_TERMINATION_LOG": str(termination_log)}
    with stderr.open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=environment)
    try:
        yield ServerProcess(process, ports, termination_log, stderr, time.monotonic())
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    made = CliRunner().invoke(app, ["tiny-checkpoint", str(folder), "--seed", "0"])
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(scope="module")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("server"), tiny) as running:
        wait_for(running.load, lambda load: load["state"] != "silent")
        assert running.get("/health/live").status_code == 200
        running.wait_for_ready()
        yield running


@pytest.fixture(scope="session")
def start_server() -> Callable[..., Any]:
    return server_process


@pytest.fixture(scope="session", name="wait_for")
def wait_for_fixture() -> Callable[..., Any]:
    return wait_for


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN
