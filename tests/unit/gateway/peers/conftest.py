"""Certificates of regions, by one authority, in folders as a mounted Secret has them; gateways of two regions."""

import asyncio
import contextlib
import datetime as dt
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.decisions.peers.remote_state import RemoteState
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings
from voxfleet_testbed.network.certificates import LIFETIME, Authority, Identity, make_authority

NOW = dt.datetime.now(dt.UTC)
PodHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class PeerFolders:
    """Makes one folder per region."""

    root: Path
    authority: Authority = field(default_factory=lambda: make_authority("peers", NOW))

    def issue(
        self, region: str, *names: str, authority: Authority | None = None, is_expired: bool = False, folder: str = ""
    ) -> Path:
        """Write the region's files, for other DNS names than its own if any are given."""
        made = self.root / (folder or region)
        made.mkdir(exist_ok=True)
        signer = authority or self.authority
        begin = NOW - LIFETIME - dt.timedelta(hours=1) if is_expired else NOW
        pair = signer.issue(Identity(region, names=names or (region,)), begin)
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": signer.pem()}
        for name, data in files.items():
            new = made / f"{name}.new"
            new.write_bytes(data)
            new.rename(made / name)
        return made


@pytest.fixture
def peer_folders(tmp_path: Path) -> PeerFolders:
    return PeerFolders(tmp_path)


@pytest.fixture
def new_authority() -> Callable[[], Authority]:
    return lambda: make_authority("others", NOW)


REGISTRY: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": "m"}


@dataclass
class Region:
    """A gateway of one region in this process, with its ports open."""

    name: str
    port: int
    gateway: Gateway
    url: str
    report: dict[str, Any]
    internal_address: PodAddress

    @property
    def key(self) -> RegionKey:
        return RegionKey("d", "n", self.name)

    def state(self, of: str) -> RemoteState:
        """What it knows of another region."""
        found = self.gateway.fleet.regions[RegionKey("d", "n", of)].remote
        assert found is not None
        return found

    def record_reports(self) -> None:
        """Let every pod report."""
        received = ReceivedReport(LoadReport(**self.report), {}, time.monotonic())
        region = self.gateway.fleet.regions.get(self.key)
        for address in region.pods if region is not None else ():
            self.gateway.fleet.record_report(self.key, address, received)

    def serve_model(self, *entries: RegionEntry, ports: list[int], rules: dict[str, Any] | None = None) -> None:
        """Apply a registry with one model in these regions, and this region's pods."""
        model = ModelEntry(**REGISTRY, regions=entries, gateway=rules or {})
        registry, fleet = Registry.of([model]), self.gateway.fleet
        fleet.registry = lambda: registry
        # Port 9, discard: at 9091 the gateway would read the load of a server that this machine happens to run.
        pods = tuple(PodEndpoint(PodAddress("127.0.0.1", port, 9), is_ready=True) for port in ports)
        fleet.pods_behind = lambda service: pods if service[1] == self.name else ()
        fleet.refresh()
        for watch in self.gateway.watches:
            watch.synced.set()
        self.record_reports()


@dataclass
class Regions:
    """Opens gateways of several regions that are one another's peers."""

    folders: PeerFolders
    stack: contextlib.AsyncExitStack

    async def open(
        self, name: str, *pods: PodHandler, report: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Region, list[int]]:
        """Open one region's gateway; return it and the ports of its pods."""
        ports = []
        for pod in pods:
            server = await asyncio.start_server(pod, "127.0.0.1", 0)
            self.stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        folder = self.folders.root / name
        given: dict[str, Any] = {
            "region": name,
            "internal_key": name,
            "host": "127.0.0.1",
            "pod_name": f"gateway-{name}",
        }
        given |= dict.fromkeys(("port", "metrics_port", "internal_port", "peer_port"), 0)
        given |= {"trusted_proxies": "127.0.0.0/8", "allowed_peer_networks": "127.0.0.0/8", "peer_poll_seconds": 0.2}
        given |= {"peer_tls_folder": str(folder if folder.exists() else self.folders.issue(name))}
        no_api: Any = None
        gateway = await self.stack.enter_async_context(open_gateway(Settings(**given | settings), no_api))
        opened = await self.stack.enter_async_context(listening(gateway))
        assert gateway.peering is not None
        self.stack.push_async_callback(gateway.peering.stop)
        state = {"state": "ready", "free_rows": 64} | (report or {})
        address, url = PodAddress("127.0.0.1", 0, opened["internal"]), f"https://127.0.0.1:{opened['peers']}"
        return Region(name, opened["api"], gateway, url, state, address), ports

    async def pair(
        self,
        eu_pods: list[PodHandler],
        us_pods: list[PodHandler],
        *,
        eu: dict[str, Any] | None = None,
        us: dict[str, Any] | None = None,
        entries: dict[str, dict[str, Any]] | None = None,
        rules: dict[str, Any] | None = None,
        is_reported: bool = True,
    ) -> tuple[Region, Region]:
        """Open eu and us, and wait until each has the other's report; `entries` are more fields of their registry."""
        made = [await self.open("eu", *eu_pods, **(eu or {})), await self.open("us", *us_pods, **(us or {}))]
        for here, ports in made:
            rows = [
                RegionEntry(
                    name=each.name,
                    gateway_url=each.url,
                    local=False,
                    service=ObjectRef(namespace="d", name=each.name),
                    **(entries or {}).get(each.name, {}),
                )
                for each, _ in made
            ]
            here.serve_model(*rows, ports=ports, rules=rules)
        first, second = made[0][0], made[1][0]
        self.stack.callback(asyncio.create_task(self._keep_reporting(first, second)).cancel)
        if is_reported:
            await self.until(lambda: math.isfinite(first.state("us").asked_seconds + second.state("eu").asked_seconds))
        return first, second

    @staticmethod
    async def _keep_reporting(*regions: Region) -> None:
        while True:  # a pod that is silent for 5 s gets nothing, and a test may be slow
            await asyncio.sleep(0.5)
            for region in regions:
                region.record_reports()

    @staticmethod
    async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # the condition is whatever a test looks at
                await asyncio.sleep(0.02)


@pytest.fixture
async def regions(peer_folders: PeerFolders) -> AsyncIterator[Regions]:
    async with contextlib.AsyncExitStack() as stack:
        yield Regions(peer_folders, stack)


@dataclass
class FakePeer:
    """A server with a region's certificate that answers as the test says; it reports an idle region."""

    url: str
    report: dict[str, Any]
    polls: list[float] = field(default_factory=list)
    spilled: list[dict[str, str]] = field(default_factory=list)
    answer_poll: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    answer_speech: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    answer_rtt: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def region(self, request: web.Request) -> web.StreamResponse:
        self.polls.append(time.monotonic())
        if self.answer_poll is not None:
            return await self.answer_poll(request)
        return web.json_response({"at": dt.datetime.now(dt.UTC).isoformat()} | self.report)

    async def rtt(self, request: web.Request) -> web.StreamResponse:
        return await self.answer_rtt(request) if self.answer_rtt is not None else web.json_response({"cells": []})

    async def speech(self, request: web.Request) -> web.StreamResponse:
        self.spilled.append(dict(request.headers))
        if self.answer_speech is not None:
            return await self.answer_speech(request)
        return web.Response(body=b"of the fake", content_type="audio/wav")


IDLE = {"namespace": "d", "name": "n", "ready_pods": 1, "rows": 32, "free_requests": 100}


@pytest.fixture
async def fake_peer(regions: Regions) -> Callable[..., Awaitable[tuple[Region, FakePeer]]]:
    """Open eu's gateway with these pods beside a fake gateway of us, which `certificate` may name otherwise."""

    async def open_pair(
        *pods: PodHandler, certificate: str = "us", rules: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Region, FakePeer]:
        tls = PeerTls.of(regions.folders.issue("us", certificate, is_expired=options.pop("is_expired", False)))
        peer = FakePeer("", {"region": "us", "models": [IDLE]})
        app = web.Application()
        app.router.add_get("/internal/region", peer.region)
        app.router.add_get("/internal/rtt", peer.rtt)
        app.router.add_post("/v1/audio/speech", peer.speech)
        app.router.add_post("/v1/models/{model:.+}/wake", peer.speech)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        regions.stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.listening).start()
        peer.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        eu, ports = await regions.open("eu", *pods, **options)
        service = ObjectRef(namespace="d", name="eu")
        eu.serve_model(
            RegionEntry(name="eu", service=service, local=False),
            RegionEntry(name="us", gateway_url=peer.url, local=False),
            ports=ports,
            rules=rules,
        )
        return eu, peer

    return open_pair
