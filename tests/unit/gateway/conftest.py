"""A gateway in this process that listens on loopback, pods that speak raw HTTP, and clients that send raw bytes."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings

KEY = RegionKey("d", "n", "eu")
BODY = b'{"model":"m","input":"hi"}'
RTC_PATH = "/v1/audio/speech/rtc"
PodHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LAST_REPORTS: dict[int, LoadReport] = {}  # by the id of a gateway: what all of its pods have reported


def record_reports(gateway: Gateway) -> None:
    """Let every pod report what it has reported last."""
    received = ReceivedReport(LAST_REPORTS[id(gateway)], {}, time.monotonic())
    region = gateway.fleet.regions.get(KEY)
    for address in region.pods if region else ():
        gateway.fleet.record_report(KEY, address, received)


class Wire:
    """What a test of the wire needs; a fixture, because test modules are not imported by one another."""

    key = KEY
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n"

    @staticmethod
    @contextlib.asynccontextmanager
    async def gateway(
        *pods: PodHandler | int,
        report: dict[str, Any] | None = None,
        rules: dict[str, Any] | None = None,
        named: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        keep_reporting: bool = False,
        **region: Any,
    ) -> AsyncIterator[tuple[int, Gateway]]:
        """Yield the API's port and the gateway; its fleet is one region with these pods, each with one report.

        `named`: further fields of the model, such as its aliases. `keep_reporting`: repeat the pods' last report, as a
        test that waits on a busy machine may outlast it; each repetition clears what a pod is suspected of.
        """
        servers, ports = [], []
        for pod in pods:  # a number is the port of a pod that runs already
            if not isinstance(pod, int):
                servers.append(await asyncio.start_server(pod, "127.0.0.1", 0, limit=2**25))
            ports.append(pod if isinstance(pod, int) else servers[-1].sockets[0].getsockname()[1])
        # Port 9, discard: at 9091 the gateway would read the load of a server that this machine happens to run.
        addresses = [PodAddress("127.0.0.1", port, 9) for port in ports]
        given = {"region": "eu", "internal_key": "x", "host": "127.0.0.1", "port": 0, "metrics_port": 0}
        given |= {"internal_port": 0, "trusted_proxies": "127.0.0.0/8"} | (settings or {})
        entry = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), **region)
        fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": "m"}
        model = ModelEntry(**fields, regions=(entry,), gateway=rules or {}, **named or {})
        registry, no_api = Registry.of([model]), None
        async with open_gateway(Settings(**given), no_api) as gateway, listening(gateway) as opened:  # type: ignore[arg-type]
            gateway.fleet.registry = lambda: registry
            gateway.fleet.pods_behind = lambda _: tuple(PodEndpoint(each, is_ready=True) for each in addresses)
            gateway.fleet.refresh()
            for watch in gateway.watches:
                watch.synced.set()
            Wire.report(gateway, **(report or {"state": "ready", "free_rows": 64}))

            async def report_on() -> None:
                while keep_reporting:
                    await asyncio.sleep(0.5)
                    record_reports(gateway)

            reporting = asyncio.create_task(report_on())
            yield opened["api"], gateway
            reporting.cancel()
            del LAST_REPORTS[id(gateway)]
        for server in servers:
            server.close()

    @staticmethod
    def free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    @staticmethod
    def report(gateway: Gateway, **fields: Any) -> None:
        """Let every pod report."""
        LAST_REPORTS[id(gateway)] = LoadReport(**fields)
        record_reports(gateway)

    @staticmethod
    def serve(gateway: Gateway, pod_port: int, state: str) -> None:
        """Put one pod behind the region, in this state."""
        address = PodAddress("127.0.0.1", pod_port, 9)
        gateway.fleet.pods_behind = lambda _: (PodEndpoint(address),)
        gateway.fleet.refresh()
        Wire.report(gateway, state=state, free_rows=4)

    @staticmethod
    async def send(port: int, data: bytes, wait: float = 10.0) -> tuple[bytes, str]:
        """Send raw bytes; return what came back and how it ended: EOF, RST or open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**25)
        received = b""
        try:
            writer.write(data)
            while chunk := await asyncio.wait_for(reader.read(65536), wait):
                received += chunk
        except TimeoutError:
            return received, "open"
        except ConnectionResetError:
            return received, "RST"
        finally:
            writer.close()
        return received, "EOF"

    @staticmethod
    def post(
        body: bytes = BODY, extra: bytes = b"", version: bytes = b"1.1", path: bytes = b"/v1/audio/speech"
    ) -> bytes:
        """Return a speech request that asks for the connection to be closed."""
        head = b"POST %s HTTP/%s\r\nHost: g\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n"
        return head % (path, version, len(body), extra) + body

    @staticmethod
    def pod(*pieces: bytes, pause_seconds: float = 0.05) -> PodHandler:
        """Return a pod that sends these pieces, each in a packet of its own, and closes."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_seconds)
            writer.close()

        return answer

    @classmethod
    def speaking(cls, audio: bytes = b"RIFFaudio") -> PodHandler:
        """Return a pod that responds with the whole audio, and says that it closes: no request may follow."""
        return cls.pod(cls.ok + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(audio) + audio)


@pytest.fixture
def wire() -> type[Wire]:
    return Wire


class RtcPod:
    """A pod that answers each offer with the next of its statuses, and with the last one from then on."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.offers: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.delete_status = 204
        self.accounts: list[web.WebSocketResponse] = []
        self.headers: list[Any] = []
        self.answers: list[dict[str, Any]] = []  # of the gateway, to what was asked
        self.ended = 0  # accounts

    async def account(self, request: web.Request) -> web.WebSocketResponse:
        """Keep an account until the gateway closes it; its messages are kept."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.accounts.append(socket)
        await socket.send_json({"type": "account", "id": f"a{len(self.accounts)}"})
        async for message in socket:
            self.answers.append(json.loads(message.data))
        self.ended += 1
        return socket

    async def no_account(self, _request: web.Request) -> web.Response:
        """Refuse a WebSocket as a server does that has no such route."""
        return web.Response(status=403)

    async def says(self, **fields: Any) -> dict[str, Any]:
        """Send a message on the newest account; return the gateway's answer."""
        known = len(self.answers)
        await self.accounts[-1].send_json(fields)
        async with asyncio.timeout(20):
            while len(self.answers) == known:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.answers[-1]

    async def offer(self, request: web.Request) -> web.Response:
        self.offers.append(await request.json())
        self.headers.append(request.headers)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status != 201:
            headers = {"Retry-After": "1"} if status == 503 else {}
            return web.json_response({"error": {"message": "no", "code": "c"}}, status=status, headers=headers)
        return web.json_response(
            {"sdp": "answer", "session_id": "s1"}, status=201, headers={"Location": RTC_PATH + "/s1"}
        )

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.match_info["session"])
        headers = {"Location": RTC_PATH + "/elsewhere"} if self.delete_status == 302 else {}
        return web.Response(status=self.delete_status, headers=headers)


@pytest.fixture
def rtc_pod() -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def serve(*statuses: int, has_accounts: bool = True) -> AsyncIterator[tuple[RtcPod, int]]:
        pod, app = RtcPod(*statuses), web.Application()
        app.router.add_post(RTC_PATH, pod.offer)
        app.router.add_get(RTC_PATH + "/account", pod.account if has_accounts else pod.no_account)
        app.router.add_delete(RTC_PATH + "/{session}", pod.delete)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield pod, runner.addresses[0][1]
        finally:
            await runner.cleanup()

    return serve
