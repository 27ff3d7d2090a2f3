"""One wake of 35 s that every client waits for at the same time, at gateways that ask for keys.

Each client is a program in an environment of its own, as its packages are published. It is started early, because its
libraries take long to import; prints `ready`, waits for a line, and prints what came of it as JSON.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import GatewayRules, ModelEntry, ObjectRef, RegionEntry, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import REQUESTS
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.environments import node_environment, python_at_least, python_environment
from voxfleet_testbed.settings import read_settings

HERE = Path(__file__).parent
MODEL = "voxcpm-1.5"
WAKE_SECONDS = 35.0
WAITING_KEY = "KEY-OF-A-CLIENT-WITHOUT-A-TIMEOUT"
PATIENCE_SECONDS = 240
STARTED_AT_ONCE = 4  # importing takes a core; more at once only take turns
WYOMING_PYTHON = (3, 12)  # its sources are in that version's syntax
SERVER_PORTS = ("--port", "--metrics-port", "--internal-port")


@dataclass(frozen=True, slots=True)
class Environments:
    """Interpreters that have the clients' packages."""

    frameworks: str
    open_webui: str
    wyoming: str | UnavailableError
    node: Path


@pytest.fixture(scope="session")
def environments() -> Environments:
    cache, locks = read_settings().cache, HERE / "requirements"
    wyoming: str | UnavailableError
    try:
        python = python_at_least(cache, WYOMING_PYTHON)
        wyoming = python_environment(cache, locks / "wyoming.txt", python)
    except UnavailableError as missing:
        wyoming = missing
    return Environments(
        frameworks=python_environment(cache, locks / "frameworks.txt"),
        open_webui=python_environment(cache, locks / "open-webui.txt"),
        wyoming=wyoming,
        node=node_environment(cache, HERE / "node"),
    )


@dataclass(slots=True)
class Program:
    """One client's process."""

    command: tuple[str, ...]
    log: Path  # of its standard error
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until its libraries are imported."""
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, **self.variables}
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=pipe, stdout=pipe, stderr=log, cwd=self.folder, env=environment
            )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line == b"ready\n":
                return
        pytest.fail(f"{self.command} was not ready: {self._errors()}")

    async def result(self) -> Any:
        """Give the sign to begin; return what it prints at its end."""
        assert self.process is not None
        output, _ = await self.process.communicate(b"go\n")
        lines = output.decode().splitlines()
        assert lines, f"{self.command}: {self._errors()}"
        return json.loads(lines[-1])

    def _errors(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


@dataclass(frozen=True, slots=True)
class OpenGateway:
    """A gateway with one region, its address, and the port that its server would fetch voices from."""

    gateway: Gateway
    url: str
    internal_port: int

    @property
    def region(self) -> Any:
        (region,) = self.gateway.fleet.regions.values()
        return region

    def responses(self, code: int) -> int:
        """Return how many speech requests have ended by this status."""
        name = next(iter(self.gateway.fleet.regions)).name
        samples = (sample for metric in REQUESTS.collect() for sample in metric.samples)
        counted = (each for each in samples if each.labels.get("name") == name and each.name.endswith("_total"))
        return round(sum(each.value for each in counted if each.labels["code"] == str(code)))


async def started(program: Program, few: asyncio.Semaphore) -> None:
    async with few:
        await program.start()


def write_key(folder: Path) -> Path:
    """Write the Secret with the key of docs/clients.md, `KEY`, and that of a client which waits without saying so."""
    folder.mkdir(exist_ok=True)
    for tenant, key, more in (("home", "KEY", {"may_upload": True}), ("waits", WAITING_KEY, {"hold_seconds": 300})):
        entry = {"hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", "tenant": tenant, "models": ["*"]}
        entry |= {"created_at": "2026-01-01T00:00:00Z"} | more
        (folder / f"{tenant}.json").write_text(json.dumps(entry))
    return folder


@contextlib.asynccontextmanager
async def a_gateway(
    folder: Path, name: str, pods: tuple[PodEndpoint, ...], rules: dict[str, Any], **region: Any
) -> AsyncIterator[OpenGateway]:
    """Open a gateway of one resource, which serves OpenAI's names and shows them without a key."""
    given: dict[str, Any] = {"region": "eu", "internal_key": "x", "host": "127.0.0.1", "port": 0}
    given |= {"metrics_port": 0, "internal_port": 0, "voices_dir": str(folder / f"voices-{name}")}
    given |= {"keys_folder": str(write_key(folder / "keys"))}
    entry = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), **region)
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": name}
    fields |= {"aliases": ("tts-1", "gpt-4o-mini-tts"), "voices": {"alloy": "default", "nova": "default"}}
    fields |= {"gateway": GatewayRules(public_catalog=True, **rules)}
    registry = Registry.of([ModelEntry(**fields, model=MODEL, regions=(entry,))])
    no_api: Any = None
    async with open_gateway(Settings(**given), no_api) as gateway, listening(gateway) as ports:
        gateway.fleet.registry = lambda: registry
        gateway.fleet.pods_behind = lambda _: pods
        for watch in gateway.watches:
            watch.synced.set()
        gateway.fleet.refresh()  # starts the poller: a pod is used once it reports that it is ready
        try:
            yield OpenGateway(gateway, f"http://127.0.0.1:{ports['api']}", ports["internal"])
        finally:
            await gateway.poller.stop()


@dataclass(slots=True)
class Waking:
    """Two gateways: one whose region sleeps until its server is started, and one where no request may wait.

    Beside them stands a server that clients ask without a gateway.
    """

    folder: Path
    server_ports: list[int]
    speaking: OpenGateway
    refusing: OpenGateway
    lone_ports: list[int]
    waiting_key: str = WAITING_KEY
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def lone_url(self) -> str:
        return f"http://127.0.0.1:{self.lone_ports[0]}"

    def start_region(self) -> None:
        source = f"http://127.0.0.1:{self.speaking.internal_port}"
        self._start(self.server_ports, "--trust-gateway-headers", "--voice-source", source)

    async def start_lone_server(self) -> None:
        """Start the server without a gateway, and wait until it is ready."""
        await self.make_checkpoint()
        keys = self.folder / "keys-of-server"
        keys.write_text(f"home {hashlib.sha256(b'KEY').hexdigest()}\n")
        names = ("--model-aliases", "tts-1,gpt-4o-mini-tts", "--voice-aliases", "alloy=default,nova=default")
        self._start(self.lone_ports, *names, "--api-keys-file", str(keys), "--public-catalog")
        async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as http:
            while not await is_ready(http, self.lone_url):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def _start(self, ports: list[int], *flags: str) -> None:
        command = [sys.executable, "-m", "voxfleet_inference", "serve", "--model-path", str(self.folder / "tiny")]
        command += ["--device", "cpu", "--dtype", "fp32", "--host", "127.0.0.1", "--cpu-threads", "1"]
        command += ["--model-name", MODEL, *flags]
        for name, port in zip(SERVER_PORTS, ports, strict=True):
            command += [name, str(port)]
        self.servers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

    def stop(self) -> None:
        for server in self.servers:
            server.kill()
            server.wait(60)

    async def make_checkpoint(self) -> None:
        command = ("-m", "voxfleet_inference", "tiny-checkpoint", str(self.folder / "tiny"), "--seed", "0")
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def speak(self, programs: Mapping[str, Program], afterwards: Callable[[], Awaitable[None]]) -> dict[str, Any]:
        """Start the programs, have all of them wait for the same wake, and return what each printed."""
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self.start_lone_server())
            few = asyncio.Semaphore(STARTED_AT_ONCE)
            for program in programs.values():
                starting.create_task(started(program, few))
        assert not self.speaking.region.traffic.is_wake_requested  # lists of voices and models wake no GPU
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as running:
            tasks = {name: running.create_task(program.result()) for name, program in programs.items()}
            await self.until(lambda: self.speaking.region.traffic.is_wake_requested)
            await asyncio.sleep(WAKE_SECONDS)
            self.start_region()
            await afterwards()
        (pod,) = self.speaking.region.pods.values()
        await self.until(lambda: pod.open_requests == 0 and self.speaking.gateway.health.open_requests == 0)
        return {name: task.result() for name, task in tasks.items()}


async def is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientConnectionError):
        async with http.get(f"{url}/health/ready") as response:
            return response.status == 200
    return False


@contextlib.contextmanager
def plain_logs() -> Iterator[None]:
    """Write tracebacks without their variables, which take the event loop a minute to print."""
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.asynccontextmanager
async def waking(folder: Path) -> AsyncIterator[Waking]:
    ports, lone_ports = ports_for_later(3), ports_for_later(3)
    pod = PodEndpoint(PodAddress("127.0.0.1", ports[0], ports[2]), is_ready=False)
    with plain_logs():
        async with (
            a_gateway(folder, "speaking", (pod,), {}) as speaking,
            # Its Retry-After is the predicted wake, which the packages of OpenAI wait for, twice.
            a_gateway(folder, "refusing", (), {"max_held_requests": 0}, predicted_wake_seconds=1) as refusing,
        ):
            fleet = Waking(folder, ports, speaking, refusing, lone_ports)
            try:
                yield fleet
            finally:
                fleet.stop()


@pytest.fixture(scope="session")
def open_waking() -> Any:
    return waking


@pytest.fixture(scope="session")
def program() -> type[Program]:
    return Program
