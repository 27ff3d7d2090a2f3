"""A gateway process, the objects that the operator would make, and pods that are small HTTP servers."""

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from voxfleet_testbed.fixtures import own_address_or_skip

KEY = "integration-key"
NUMBERS = itertools.count()


@dataclass
class StubPod:
    """The HTTP side of an inference pod; the test sets every behaviour."""

    token: str
    state: str = "ready"
    message: str = ""
    chunks: list[bytes] = field(default_factory=lambda: [b"RIFF", b"audio", b"end"])
    before_headers: Callable[[web.Request], Awaitable[web.StreamResponse | None]] | None = None
    between_chunks: Callable[[int, web.Request], Awaitable[None]] | None = None
    report: dict[str, Any] = field(default_factory=dict)  # more fields of its load report
    served: list[dict[str, Any]] = field(default_factory=list)
    headers_seen: list[CIMultiDict[str]] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    written_chunks: int = 0
    polls: int = 0
    port: int = 0
    internal_port: int = 0
    address: str = ""
    runners: list[web.AppRunner] = field(default_factory=list)

    async def start(self) -> "StubPod":
        self.address = own_address_or_skip()
        api, internal = web.Application(), web.Application()
        api.router.add_post("/v1/audio/speech", self._speech)
        api.router.add_get("/v1/audio/speech/stream", self._stream)
        internal.router.add_get("/internal/load", self._load)
        self.port, self.internal_port = await self._listen(api), await self._listen(internal)
        return self

    async def _listen(self, app: web.Application) -> int:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.address, 0).start()
        self.runners.append(runner)
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        for runner in self.runners:
            await runner.cleanup()
        self.runners.clear()

    async def _load(self, request: web.Request) -> web.Response:
        self.polls += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return web.json_response({
            "model": "tiny", "state": self.state, "message": self.message, "open_requests": 0, "running_sequences": 0,
            "waiting_sequences": 0, "free_rows": 4, "last_request_finished_at": None, "extra": "passed on",
        } | self.report)  # fmt: skip

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._speak(request)
        except (asyncio.CancelledError, ConnectionResetError):
            self.cancelled.set()
            raise

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        """Speak the text of one session.start."""
        self.headers_seen.append(CIMultiDict(request.headers))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.served.append(json.loads((await socket.receive()).data))
        await socket.send_str(json.dumps({"type": "session.started", "seed": 7, "sample_rate": 24000}))
        for chunk in self.chunks:
            await socket.send_bytes(chunk)
        await socket.send_str(json.dumps({"type": "session.done", "usage": {}}))
        await socket.close()
        return socket

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        self.served.append(await request.json())
        self.headers_seen.append(CIMultiDict(request.headers))
        if self.before_headers is not None and (answer := await self.before_headers(request)) is not None:
            return answer
        response = web.StreamResponse(headers={"Content-Type": "audio/wav", "Voxfleet-Seed": "7"})
        await response.prepare(request)
        for number, chunk in enumerate(self.chunks):
            if number and self.between_chunks is not None:
                await self.between_chunks(number, request)
            await response.write(chunk)
            self.written_chunks += 1
        return response


@dataclass
class Stage:
    """Namespaces of one test, and the objects that the operator would make there."""

    api: Any
    kubeconfig: str
    number: int = field(default_factory=lambda: next(NUMBERS))

    @property
    def system(self) -> str:
        return f"gw-system-{self.number}"

    @property
    def demand(self) -> str:
        return f"gw-demand-{self.number}"

    @property
    def apps(self) -> str:
        return f"gw-apps-{self.number}"

    def set_up(self) -> None:
        for name in (self.system, self.demand, self.apps):
            self.api.apply(
                f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )

    def pod_token(self, name: str = "narrator") -> str:
        return hmac.new(KEY.encode(), f"pod/{self.apps}/{name}".encode(), hashlib.sha256).hexdigest()

    def region(self, name: str, **fields: Any) -> dict[str, Any]:
        places = {"eu-central": (50.11, 8.68), "us-east": (39.04, -77.49)}
        latitude, longitude = places[name]
        return {
            "name": name, "latitude": latitude, "longitude": longitude, "gateway_url": None, "allowed_clients": [],
            "suspended": False, "local": True, "max_replicas": 4,
            "service": {"namespace": self.apps, "name": f"narrator-{name}"},
            "lease": {"namespace": self.demand, "name": f"narrator-{name}"},
            "phase": "Asleep", "message": "", "retry_after_seconds": None, "predicted_wake_seconds": None,
        } | fields  # fmt: skip

    def put_model(self, regions: list[dict[str, Any]], name: str = "narrator", **fields: Any) -> None:
        model = {
            "schema": "voxfleet.dev/registry/v1", "namespace": self.apps, "name": name, "model": "voxcpm-1.5",
            "owns_model_name": True, "created_at": "2026-01-01T00:00:00Z", "generation": 1, "suspended": False,
            "gateway": {"hold_seconds": 600, "max_held_requests": 256, "spill": True},
            "idle_timeout_seconds": 60, "regions": regions,
        } | fields  # fmt: skip
        self.put_configmap(name, {"model.json": json.dumps(model)})

    def put_configmap(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.system, "labels": {"voxfleet.dev/model-registry": "true"}}
        self.api.apply(
            f"/api/v1/namespaces/{self.system}/configmaps/{name}",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
        )

    def lease_path(self, region: str) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.demand}/leases/narrator-{region}"

    def put_lease(self, region: str, renew_time: datetime | None = None, asleep_since: datetime | None = None) -> None:
        spec: dict[str, Any] = {"leaseDurationSeconds": 60}
        if renew_time is not None:
            spec["renewTime"] = micro(renew_time)
        annotations = {"voxfleet.dev/asleep-since": micro(asleep_since)} if asleep_since else {}
        metadata = {"name": f"narrator-{region}", "namespace": self.demand, "annotations": annotations}
        self.api.apply(
            self.lease_path(region),
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec},
        )

    def lease(self, region: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(self.lease_path(region))
        return found

    def put_pods(self, region: str, *pods: StubPod, ready: bool = False) -> None:
        """One slice per pod, since ports belong to slices; pods left out lose theirs."""
        listed = self.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{self.apps}/endpointslices")["items"]
        wanted = {f"narrator-{region}-{pod.port}": pod for pod in pods}
        for old in listed:
            name = old["metadata"]["name"]
            if name.startswith(f"narrator-{region}-") and name not in wanted:
                self.api.delete(f"/apis/discovery.k8s.io/v1/namespaces/{self.apps}/endpointslices/{name}")
        for name, pod in wanted.items():
            self._put_slice(name, region, pod, ready=ready)

    def _put_slice(self, name: str, region: str, pod: StubPod, *, ready: bool) -> None:
        labels = {"kubernetes.io/service-name": f"narrator-{region}", "voxfleet.dev/deployment": "narrator"}
        self.api.apply(
            f"/apis/discovery.k8s.io/v1/namespaces/{self.apps}/endpointslices/{name}",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": self.apps, "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": pod.port}, {"name": "internal", "port": pod.internal_port}],
                "endpoints": [{"addresses": [pod.address], "conditions": {"ready": ready}}],
            },
        )


def micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class GatewayProcess:
    """`python -m voxfleet_gateway`, with its log."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    other_output: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    def follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.other_output.append(line)

    def url(self, path: str, port: str = "api") -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def records(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == "request"]

    async def until_ready(self, session: aiohttp.ClientSession) -> "GatewayProcess":
        await self.until(lambda: any(line.get("event") == "listening" for line in self.lines), "listening", 90)
        self.ports = next(line["ports"] for line in self.lines if line.get("event") == "listening")

        async def ready() -> bool:
            async with session.get(self.url("/health/ready")) as answer:
                return answer.status == 200

        async with asyncio.timeout(90):
            while not await ready():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return self

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        try:
            async with asyncio.timeout(seconds):
                while not (found := condition()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            pytest.fail(f"{what} was not seen in {seconds} s; log: {self.lines[-8:]} {self.other_output[-20:]}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)


StartGateway = Callable[..., Awaitable[GatewayProcess]]


@pytest.fixture
def stage(control_plane: Any) -> Stage:
    staged = Stage(control_plane.api, str(control_plane.kubeconfig))
    staged.set_up()
    return staged


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as opened:
        yield opened


@pytest.fixture
async def new_pod(stage: Stage) -> AsyncIterator[Callable[..., Awaitable[StubPod]]]:
    pods: list[StubPod] = []

    async def start(**fields: Any) -> StubPod:
        pods.append(await StubPod(stage.pod_token(), **fields).start())
        return pods[-1]

    yield start
    for pod in pods:
        await pod.stop()


@pytest.fixture
def launched() -> Iterator[list[GatewayProcess]]:
    started: list[GatewayProcess] = []
    yield started
    for gateway in started:
        gateway.stop()


@pytest.fixture
def start_gateway(stage: Stage, session: aiohttp.ClientSession, launched: list[GatewayProcess]) -> StartGateway:
    async def start(region: str = "eu-central", **settings: str) -> GatewayProcess:
        env = {**os.environ, "PYTHONUNBUFFERED": "1"} | {
            "VOXFLEET_REGION": region, "VOXFLEET_INTERNAL_KEY": KEY, "VOXFLEET_KUBECONFIG": stage.kubeconfig,
            "VOXFLEET_SYSTEM_NAMESPACE": stage.system, "VOXFLEET_DEMAND_NAMESPACE": stage.demand,
            "VOXFLEET_HOST": "127.0.0.1", "VOXFLEET_PORT": "0", "VOXFLEET_METRICS_PORT": "0",
            "VOXFLEET_INTERNAL_PORT": "0", "VOXFLEET_POD_NAME": f"gateway-{region}",
            "VOXFLEET_TRUSTED_PROXIES": "127.0.0.0/8", "VOXFLEET_DRAIN_GRACE_SECONDS": "0.2",
            "VOXFLEET_DRAIN_SECONDS": "5",
        } | settings  # fmt: skip
        process = subprocess.Popen(  # noqa: ASYNC220  # started once, then followed by a thread
            [sys.executable, "-m", "voxfleet_gateway"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        gateway = GatewayProcess(process)
        launched.append(gateway)
        threading.Thread(target=gateway.follow, daemon=True).start()
        return await gateway.until_ready(session)

    return start


@dataclass
class Answer:
    """A complete response."""

    status: int
    headers: Any
    body: bytes
    seconds: float

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


Speak = Callable[..., Awaitable[Answer]]


@pytest.fixture
def speak(session: aiohttp.ClientSession) -> Speak:
    async def ask(gateway: GatewayProcess, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        body = {"model": "voxcpm-1.5", "input": "Hello.", "response_format": "wav"} | fields
        began = time.monotonic()
        async with session.post(gateway.url("/v1/audio/speech"), json=body, headers=headers or {}) as answer:
            return Answer(answer.status, answer.headers, await answer.read(), time.monotonic() - began)

    return ask


@contextlib.asynccontextmanager
async def background(work: Awaitable[Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Run the work beside the test and cancel it at the end of the context."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def meanwhile() -> Callable[[Awaitable[Any]], contextlib.AbstractAsyncContextManager[asyncio.Task[Any]]]:
    return background
