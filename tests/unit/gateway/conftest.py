"""A gateway in this process that listens on loopback, pods that speak raw HTTP, and clients that send raw bytes."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings

KEY = RegionKey("d", "n", "eu")
BODY = b'{"model":"m","input":"hi"}'
PodHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


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
        settings: dict[str, Any] | None = None,
        keep_reporting: bool = False,
        **region: Any,
    ) -> AsyncIterator[tuple[int, Gateway]]:
        """Yield the API's port and the gateway; its fleet is one region with these pods, each with one report."""
        servers, ports = [], []
        for pod in pods:  # a number is the port of a pod that runs already
            if not isinstance(pod, int):
                servers.append(await asyncio.start_server(pod, "127.0.0.1", 0, limit=2**25))
            ports.append(pod if isinstance(pod, int) else servers[-1].sockets[0].getsockname()[1])
        addresses = [PodAddress("127.0.0.1", port) for port in ports]
        given = {"region": "eu", "internal_key": "x", "host": "127.0.0.1", "port": 0, "metrics_port": 0}
        given |= {"internal_port": 0, "trusted_proxies": "127.0.0.0/8"} | (settings or {})
        entry = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), **region)
        fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": "m"}
        model = ModelEntry(**fields, regions=(entry,), gateway=rules or {})
        registry, no_api = Registry.of([model]), None
        async with open_gateway(Settings(**given), no_api) as gateway, listening(gateway) as opened:  # type: ignore[arg-type]
            gateway.fleet.registry = lambda: registry
            gateway.fleet.pods_behind = lambda _: tuple(PodEndpoint(each, is_ready=True) for each in addresses)
            gateway.fleet.refresh()
            for watch in gateway.watches:
                watch.synced.set()
            row = LoadReport(**(report or {"state": "ready", "free_rows": 64}))

            def record_reports() -> None:
                for address in addresses:
                    gateway.fleet.record_report(KEY, address, ReceivedReport(row, {}, time.monotonic()))

            async def report_on() -> None:
                while keep_reporting:
                    await asyncio.sleep(0.5)
                    record_reports()

            record_reports()
            reporting = asyncio.create_task(report_on())
            yield opened["api"], gateway
            reporting.cancel()
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
        received = ReceivedReport(LoadReport(**fields), {}, time.monotonic())
        for address in gateway.fleet.regions[KEY].pods:
            gateway.fleet.record_report(KEY, address, received)

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
        """Return a pod that responds with the whole audio."""
        return cls.pod(cls.ok + b"Content-Length: %d\r\n\r\n" % len(audio) + audio)


@pytest.fixture
def wire() -> type[Wire]:
    return Wire
