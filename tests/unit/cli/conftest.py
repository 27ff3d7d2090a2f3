"""An API server for the command line: objects at paths, and port-forward over WebSocket to ports of loopback."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web


@dataclass
class ApiServer:
    """Serves `objects` by path; `ports` are the pods' ports on loopback. `queries`: those of each path."""

    folder: Path
    objects: dict[str, Any] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    queries: dict[str, dict[str, str]] = field(default_factory=dict)
    is_forbidden: bool = False
    url: str = ""

    @property
    def kubeconfig(self) -> str:
        path = self.folder / "kubeconfig"
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "of-the-user"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
        }
        path.write_text(yaml.safe_dump(body))
        return str(path)

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.queries[request.path] = dict(request.query)
        if request.headers.get("Authorization") != "Bearer of-the-user":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if request.path.endswith("/portforward"):
            return await self._forward(request)
        if request.path not in self.objects:
            return web.json_response({"message": f"{request.path} not found"}, status=404)
        return web.json_response(self.objects[request.path])

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        """Speak v4.channel.k8s.io: channel 0 carries data, 1 errors; both begin with the port's two bytes."""
        if self.is_forbidden:
            return web.json_response({"message": "pods/portforward is forbidden"}, status=403)
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        port = int(request.query["ports"])
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + port.to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[port])
        except (KeyError, OSError) as error:
            await socket.send_bytes(b"\1" + f"no connection to port {port}: {error}".encode())
            await socket.close()
            return socket

        async def answer() -> None:
            while data := await reader.read(65536):
                await socket.send_bytes(b"\0" + data)
            await socket.close()

        answering = asyncio.create_task(answer())
        async for message in socket:
            writer.write(message.data[1:])
        writer.close()
        await asyncio.gather(answering, return_exceptions=True)
        return socket


@dataclass
class GatewayPort:
    """A gateway's internal port that gives one answer, and keeps the requests."""

    answer: Any = None
    status: int = 200
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    port: int = 0

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.query), request.headers.get("Authorization", "")))
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return web.Response(text=text, status=self.status, content_type="application/json")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[ApiServer, GatewayPort]]:
    """Both on loopback, in a thread of their own: the command line blocks."""
    api, gateway = ApiServer(tmp_path), GatewayPort()
    started, loop = threading.Event(), asyncio.new_event_loop()
    runners: list[web.AppRunner] = []

    async def open_all() -> None:
        for handler in (api.get, gateway.get):
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            runners.append(runner)
        ports = [runner.addresses[0][1] for runner in runners]
        api.url, gateway.port = f"http://127.0.0.1:{ports[0]}", ports[1]
        started.set()

    async def close_all() -> None:
        for runner in runners:
            await runner.cleanup()
        loop.stop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(open_all())  # the loop runs until it is stopped
        loop.run_forever()
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(30)
    yield api, gateway
    asyncio.run_coroutine_threadsafe(close_all(), loop)
    thread.join(30)
