"""What the tests of every way in share: a cluster of its own for each proxy, and pods behind the gateway.

Real: the API server, the operator, the gateway, the proxy with its own time limits, the chart's Service, certificates,
a location database. No kubelet and no endpoint controller run: `Site.start_gateway` and `Site.put_pods` write the
EndpointSlices that started pods would lead to, and the pods are small HTTP servers.
"""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.network.certificates import make_authority
from voxfleet_testbed.nodeless.site import Site
from voxfleet_testbed.nodeless.site_settings import APPS, KEY, NAME
from voxfleet_testbed.nodeless.stub_server import StubServer
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import Settings


@dataclass
class Pod(StubServer):
    """A pod's server; a test holds its second chunk back until `may_go_on` is set."""

    namespace: str = APPS
    name: str = NAME
    internal_key: str = KEY
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_get("/v1/audio/speech/stream", self._stream)

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        await response.prepare(request)
        await response.write(b"RIFF")
        await self.may_go_on.wait()
        await response.write(self.region.encode())
        return response

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps({"type": "session.started", "seed": 7, "sample_rate": 24000}))
        await socket.send_bytes(b"RIFF")
        await self.may_go_on.wait()
        await socket.send_bytes(self.region.encode())
        await socket.send_str(json.dumps({"type": "session.done", "usage": {}}))
        await socket.close()
        return socket


@pytest.fixture(scope="module")
def new_site(
    testbed_settings: Settings, second_control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Make the module's cluster; every process in it ends after the module's tests."""
    sites: list[Site] = []

    def make(
        ports: dict[str, int], sections: dict[str, int], encrypted: Sequence[str], programs: Sequence[str] = ()
    ) -> Site:
        found = find_programs(testbed_settings)
        with skipping(testbed_settings):
            build(found, ["helm", *programs])
        cluster, folder = second_control_plane, tmp_path_factory.mktemp("site")
        authority = make_authority("ways in", dt.datetime.now(dt.UTC))
        made = (cluster.api, cluster.kubeconfig, found, folder, authority)
        sites.append(Site(*made, ports, sections, tuple(encrypted)))
        return sites[-1]

    yield make
    for site in sites:
        site.end(*site.processes)


@pytest.fixture
async def new_pod(site: Site) -> AsyncIterator[Callable[..., Awaitable[Pod]]]:
    """Start a pod in a region; it is ready at once, and gone at the end of the test."""
    pods: list[Pod] = []

    async def start(region: str = "eu-central", *, may_go_on: bool = True) -> Pod:
        pod = Pod(region)
        if may_go_on:
            pod.may_go_on.set()
        await pod.start()
        pods.append(pod)
        await asyncio.to_thread(site.put_pods, *pods)
        return pod

    yield start
    await asyncio.to_thread(site.put_pods)
    for pod in pods:
        await pod.stop()
