"""The servers of simulated inference pods, and the gateway that reports their load: real HTTP in one thread.

Each pod has a loopback address of its own, and answers there as an inference server does: speech that streams, load,
drain. The gateway answers the operator's polls, and renews demand Leases while requests are held or open. A pod that is
deleted lives until its streams end or its grace period has passed, as under a kubelet.

Knows aiohttp and the API server's paths. Does not know what is answered; simulated_pods.py does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.errors import ApiError

from voxfleet_demo.spot.simulated_pods import (
    INFERENCE_PODS,
    PodFacts,
    PodServer,
    gateway_load,
    micro_time,
    pod_facts,
    region_of,
)

SPEECH_PORT, INTERNAL_PORT = 6006, 9091
WATCH_SECONDS = 0.5
PATCH_SECONDS = 0.16  # of audio in one chunk, as the inference server sends it
CHUNK = bytes(int(PATCH_SECONDS * 24_000) * 2)  # silence: s16le, mono, 24 kHz
START_SECONDS = 120.0  # a busy machine starts slowly
MERGE_PATCH = "application/merge-patch+json"
Region = tuple[str, str, str]


@dataclass(slots=True)
class PodServers:
    """All simulated servers; use `serving_pods`."""

    api: Api
    gateway_address: str
    lease_path: Callable[[Region], str]
    gateway_port: int = 0
    held: dict[Region, int] = field(default_factory=dict)  # requests that wait for a server; tests set them
    servers: dict[str, PodServer] = field(default_factory=dict)  # by pod address
    errors: list[str] = field(default_factory=list)
    _sites: dict[str, list[web.BaseSite]] = field(default_factory=dict)
    _listening: set[str] = field(default_factory=set)
    _streams: dict[str, set[asyncio.Task[Any]]] = field(default_factory=dict)
    _renewed_at: float = 0.0

    def on_pod(self, name: str) -> PodServer | None:
        """Return the server of a pod by the pod's name."""
        return next((server for server in list(self.servers.values()) if server.facts.name == name), None)

    def is_listening(self, pod: PodFacts) -> bool:
        """Whether the pod's ports are open: kwok reports a pod ready at once, a kubelet only after its probe."""
        server = self.servers.get(pod.address)
        return server is not None and server.facts.uid == pod.uid and pod.address in self._listening

    async def run(self, started: threading.Event, ended: asyncio.Event) -> None:
        """Serve until `ended`."""
        pods = web.AppRunner(self._pod_application(), access_log=None)
        gateway = web.AppRunner(self._gateway_application(), access_log=None)
        await pods.setup()
        await gateway.setup()
        try:
            await web.TCPSite(gateway, self.gateway_address, 0).start()
            self.gateway_port = gateway.addresses[0][1]
            started.set()
            while not ended.is_set():
                await self._follow_pods(pods)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), WATCH_SECONDS)
        finally:
            await gateway.cleanup()
            await pods.cleanup()

    def _pod_application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/internal/load", self._answer_load)
        application.router.add_post("/internal/drain", self._drain)
        application.router.add_delete("/internal/drain", self._undo_drain)
        application.router.add_post("/v1/audio/speech", self._speak)
        return application

    def _gateway_application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/internal/load", self._answer_gateway_load)
        return application

    async def _answer_load(self, request: web.Request) -> web.Response:
        return web.json_response(self._server(request).load())

    async def _answer_gateway_load(self, _request: web.Request) -> web.Response:
        return web.json_response(gateway_load(list(self.servers.values()), self.held))

    async def _drain(self, request: web.Request) -> web.Response:
        return await self._set_draining(request, is_draining=True)

    async def _undo_drain(self, request: web.Request) -> web.Response:
        return await self._set_draining(request, is_draining=False)

    async def _set_draining(self, request: web.Request, *, is_draining: bool) -> web.Response:
        server = self._server(request)
        server.is_draining = is_draining
        await self._call(self._write_readiness, server.facts, not is_draining)
        return web.json_response(server.load())

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        """Stream audio in real time, for as many seconds as the body says."""
        server, seconds = self._server(request), float((await request.json())["seconds"])
        if server.is_draining:
            return web.json_response({"error": {"message": "draining"}}, status=503, headers={"Retry-After": "1"})
        answer = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        server.open_requests += 1
        streams = self._streams.setdefault(server.facts.address, set())
        if task := asyncio.current_task():
            streams.add(task)
            task.add_done_callback(streams.discard)
        try:
            await answer.prepare(request)
            for _ in range(round(seconds / PATCH_SECONDS)):
                await answer.write(CHUNK)
                await asyncio.sleep(PATCH_SECONDS)
            await answer.write_eof()
        finally:
            server.open_requests -= 1
            server.last_request_finished_at = time.time()
        return answer

    def _server(self, request: web.Request) -> PodServer:
        transport = request.transport
        address = transport.get_extra_info("sockname")[0] if transport else ""
        found = self.servers.get(address)
        if found is None:
            raise web.HTTPServiceUnavailable(text=f"no pod has the address {address}")
        return found

    async def _follow_pods(self, runner: web.AppRunner) -> None:
        """Start and end servers as their pods come and go; an API server that restarts is asked again."""
        try:
            listed = await self._call(self.api.get, INFERENCE_PODS)
        except (ApiError, OSError) as error:
            self.errors.append(str(error))
            return
        pods = {pod.address: pod for pod in map(pod_facts, listed["items"]) if pod.address}
        for address in [known for known in self.servers if self._is_gone(known, pods)]:
            await self._end(address)
        for address, pod in pods.items():
            if address not in self.servers:
                await self._begin(runner, pod)
            self.servers[address].facts = pod
        for server in list(self.servers.values()):
            if server.is_over(time.time()):
                await self._end(server.facts.address)
                await self._call(self._remove, server.facts)
        await self._renew_leases()

    def _is_gone(self, address: str, pods: dict[str, PodFacts]) -> bool:
        return address not in pods or pods[address].uid != self.servers[address].facts.uid

    async def _begin(self, runner: web.AppRunner, pod: PodFacts) -> None:
        sites: list[web.BaseSite] = [web.TCPSite(runner, pod.address, port) for port in (SPEECH_PORT, INTERNAL_PORT)]
        self.servers[pod.address] = PodServer(pod)
        self._sites[pod.address] = sites
        for site in sites:
            await site.start()
        self._listening.add(pod.address)

    async def _end(self, address: str) -> None:
        """Close the pod's ports; streams that are open are cut, as by a killed container."""
        self._listening.discard(address)
        self.servers.pop(address).is_killed = True
        for task in self._streams.pop(address, set()):
            task.cancel()
        for site in self._sites.pop(address):
            await site.stop()

    async def _renew_leases(self) -> None:
        """Renew the demand Lease of each region with held or open requests, as a gateway does."""
        wanted = {region for region, count in self.held.items() if count}
        wanted |= {region_of(server) for server in self.servers.values() if server.open_requests}
        if not wanted or time.monotonic() - self._renewed_at < 1:
            return
        self._renewed_at = time.monotonic()
        for region in wanted:
            await self._call(self._renew, region)

    def _renew(self, region: Region) -> None:
        renewal = {"spec": {"renewTime": micro_time(time.time()), "holderIdentity": "gateway-0"}}
        with suppress(ApiError):  # the operator has not made the Lease yet
            self.api.request("PATCH", self.lease_path(region), renewal, MERGE_PATCH)

    def _remove(self, pod: PodFacts) -> None:
        with suppress(ApiError):
            self.api.delete(f"{_path(pod)}?gracePeriodSeconds=0")

    def _write_readiness(self, pod: PodFacts, is_ready: bool) -> None:  # noqa: FBT001 - passed through an executor
        """Write what a kubelet would, after a readiness probe."""
        conditions = [
            {"type": kind, "status": str(is_ready), "lastTransitionTime": micro_time(time.time())[:19] + "Z"}
            for kind in ("Ready", "ContainersReady")
        ]
        with suppress(ApiError):
            self.api.request(
                "PATCH",
                f"{_path(pod)}/status",
                {"status": {"conditions": conditions}},
                "application/strategic-merge-patch+json",
            )

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


@contextmanager
def serving_pods(api: Api, gateway_address: str, lease_path: Callable[[Region], str]) -> Iterator[PodServers]:
    """Serve in a thread for as long as the block runs."""
    servers, started = PodServers(api, gateway_address, lease_path), threading.Event()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=4))
    thread = threading.Thread(target=lambda: loop.run_until_complete(servers.run(started, ended)), daemon=True)
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the simulated gateway did not listen on {gateway_address}")
        yield servers
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(START_SECONDS)


def _path(pod: PodFacts) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
