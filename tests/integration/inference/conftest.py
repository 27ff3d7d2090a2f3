"""The real server: two processes, a tiny checkpoint, its own ports."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from typer.testing import CliRunner
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings
from voxfleet_inference.commands.cli import app
from voxfleet_testbed.network.addresses import ports_for_later

START_SECONDS = 120.0  # importing torch alone takes half a minute on a slow machine
TOKEN = "a token for tests"
REGION = RegionKey("d", "narrator", "eu")


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
    ports, stderr, termination_log = ports_for_later(3), folder / "stderr.txt", folder / "termination.txt"
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


@pytest.fixture(scope="session")
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


@asynccontextmanager
async def gateway_before(server: ServerProcess, **settings: Any) -> AsyncIterator[tuple[Gateway, str]]:
    """Open a gateway whose one region has the server; by a name of its own, which the server does not know."""
    given: dict[str, Any] = {"region": "eu", "internal_key": "x", "host": "127.0.0.1", "port": 0}
    given |= {"metrics_port": 0, "internal_port": 0} | settings
    entry = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"))
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "narrator"}
    registry = Registry.of([ModelEntry(**fields, model="voxcpm-1.5", regions=(entry,))])
    address, no_api = PodAddress("127.0.0.1", server.ports[0]), None
    async with open_gateway(Settings(**given), no_api) as opened, listening(opened) as ports:  # type: ignore[arg-type]
        opened.fleet.registry = lambda: registry
        opened.fleet.pods_behind = lambda _: (PodEndpoint(address, is_ready=True),)
        for watch in opened.watches:
            watch.synced.set()
        opened.fleet.refresh()
        report = ReceivedReport(LoadReport("ready", free_rows=4), {}, opened.fleet.clock() + 600)  # stays fresh
        opened.fleet.record_report(REGION, address, report)
        yield opened, f"http://127.0.0.1:{ports['api']}"


@pytest.fixture(scope="session", name="gateway_before")
def gateway_before_fixture() -> Callable[..., Any]:
    return gateway_before
