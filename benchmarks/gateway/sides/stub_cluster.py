"""An API server of three kinds of objects, and an operator that wakes a region a fixed time after its Lease is renewed.

Knows: lists, watches and merge patches, as far as a gateway uses them. Does not know: the gateway, requests for speech.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from sides.scenario import CONFIGMAPS, LEASES, SLICES, JsonObject, Scenario, configmap, endpoint_slice, lease
from sides.stub_pod import StubPod

LOAD_PER_REGION = 7  # so that the regions differ, and a decision's log line names each
POD_STARTS = 0.5  # of a wake: its pod exists and loads


@dataclass(slots=True)
class Objects:
    """The objects of each kind, with every event since the start."""

    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    by_kind: dict[str, dict[str, JsonObject]] = field(default_factory=lambda: defaultdict(dict))
    events: dict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def put(self, kind: str, obj: JsonObject) -> JsonObject:
        """Add or replace an object, and notify the watches."""
        name, version = obj["metadata"]["name"], next(self.versions)
        stored = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(version)}}
        event = {"type": "MODIFIED" if name in self.by_kind[kind] else "ADDED", "object": stored}
        self.by_kind[kind][name] = stored
        self.events[kind].append((version, json.dumps(event).encode() + b"\n"))
        self.changed[kind].set()
        return stored


@dataclass(slots=True)
class Region:
    """One region of one model: its pods by their ports."""

    model: int
    number: int
    pods: dict[int, StubPod]
    is_asleep: bool


@dataclass(slots=True)
class StubCluster:
    """The HTTP side, and the regions behind the Leases."""

    scenario: Scenario
    objects: Objects = field(default_factory=Objects)
    regions: dict[str, Region] = field(default_factory=dict)  # by the name of the Lease

    async def start(self) -> int:
        """Start pods and API server; return the API server's port."""
        for model, number in itertools.product(range(self.scenario.models), range(self.scenario.regions)):
            await self._add_region(model, number)
        for model in range(self.scenario.models):
            self.objects.put(CONFIGMAPS, configmap(model, self.scenario))
        app = web.Application()
        app.router.add_get("/{path:.*}", self._get)
        app.router.add_patch("/{path:.*}", self._patch)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    @property
    def pod_ports(self) -> list[int]:
        """The ports of all pods."""
        return [port for region in self.regions.values() for port in region.pods]

    async def _add_region(self, model: int, number: int) -> None:
        pods = {}
        for _ in range(self.scenario.pods):
            pod = StubPod("loading" if self.scenario.is_asleep else "ready", load=LOAD_PER_REGION * number)
            pods[await pod.start()] = pod
        region = Region(model, number, pods, self.scenario.is_asleep)
        renewed = None if region.is_asleep else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        made = self.objects.put(LEASES, lease(model, number, renewed))
        self.regions[made["metadata"]["name"]] = region
        if not region.is_asleep:
            self._put_slices(region, is_ready=True)

    def _put_slices(self, region: Region, *, is_ready: bool) -> None:
        for port in region.pods:
            self.objects.put(SLICES, endpoint_slice(region.model, region.number, port, is_ready=is_ready))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        kind, name = _kind_and_name(request.path)
        if name:
            return web.json_response(self.objects.by_kind[kind][name])
        if request.query.get("watch"):
            return await self._watch(request, kind)
        items = [*self.objects.by_kind[kind].values()]
        return web.json_response({"metadata": {"resourceVersion": str(next(self.objects.versions))}, "items": items})

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        sent = int(request.query.get("resourceVersion", 0))
        with contextlib.suppress(ConnectionResetError):  # its gateway has ended
            while True:
                self.objects.changed[kind].clear()
                for version, line in self.objects.events[kind]:
                    if version > sent:
                        sent = version
                        await response.write(line)
                await self.objects.changed[kind].wait()
        return response

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        kind, name = _kind_and_name(request.path)
        old, patch = self.objects.by_kind[kind][name], json.loads(await request.read())
        if patch["metadata"].get("resourceVersion", old["metadata"]["resourceVersion"]) != _version(old):
            return web.json_response({"message": "the object has changed"}, status=409)
        renewed = self.objects.put(kind, old | {"spec": old["spec"] | patch["spec"]})
        self._wake(self.regions[name])
        return web.json_response(renewed)

    def _wake(self, region: Region) -> None:
        """Start the wake of a region that is asleep: its pods exist after half of the time, and are ready after all."""
        if not region.is_asleep:
            return
        region.is_asleep = False
        loop, seconds = asyncio.get_running_loop(), self.scenario.wake_seconds
        loop.call_later(seconds * POD_STARTS, lambda: self._put_slices(region, is_ready=False))
        loop.call_later(seconds, lambda: self._become_ready(region))

    def _become_ready(self, region: Region) -> None:
        """Report ready; the EndpointSlice stays as it is, since kubelet's probe reaches it only later."""
        for pod in region.pods.values():
            pod.state = "ready"


def _version(obj: JsonObject) -> Any:
    return obj["metadata"]["resourceVersion"]


def _kind_and_name(path: str) -> tuple[str, str]:
    """Return the kind of a path, and the object's name, which is empty for a list."""
    parts = path.strip("/").split("/")
    kind = next(each for each in (CONFIGMAPS, SLICES, LEASES) if each in parts)
    return kind, "/".join(parts[parts.index(kind) + 1 :])
