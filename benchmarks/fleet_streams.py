"""How much streams of the fleet page slow speech requests: one gateway process, 0 and then N open streams.

The gateway runs in a process of its own, with regions whose rows change several times a second; clients of the streams
in another. Both measurements interleave, so that a busy machine slows them alike. Prints the median and p95 of each,
the ratio, and how many events a stream got in a second.

usage: python benchmarks/fleet_streams.py [--streams 200] [--requests 600]
"""

import argparse
import asyncio
import contextlib
import multiprocessing as mp
import statistics
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings

REGIONS = 12
BODY = {"model": "m", "input": "hi"}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 4\r\nConnection: close\r\n\r\nRIFF"


async def _pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
    writer.close()


async def _report(gateway: Gateway, pod: PodAddress) -> None:
    """Change every row five times a second, as a busy fleet does."""
    count = 0
    while True:
        count += 1
        row = LoadReport("ready", open_requests=count % 50, running_sequences=count % 32, free_rows=64)
        for key in gateway.fleet.regions:
            gateway.fleet.record_report(key, pod, ReceivedReport(row, {}, time.monotonic()))
        await asyncio.sleep(0.2)


async def _serve(port_to: Connection) -> None:
    pods = await asyncio.start_server(_pod, "127.0.0.1", 0, backlog=512)
    pod = PodAddress("127.0.0.1", pods.sockets[0].getsockname()[1])
    ports: dict[str, Any] = dict.fromkeys(("port", "metrics_port", "internal_port"), 0)
    # Half of the streams are kept for callers that may operate, as these may.
    settings = Settings(region="r0", internal_key="x", host="127.0.0.1", replicas=1, operate_without_key=True, **ports)
    entries = tuple(
        RegionEntry(name=f"r{number}", service=ObjectRef(namespace="d", name=f"r{number}")) for number in range(REGIONS)
    )
    model = ModelEntry(schema="voxfleet.dev/registry/v1", namespace="d", name="n", model="m", regions=entries)
    registry, no_api = Registry.of([model]), None
    async with open_gateway(settings, no_api) as gateway, listening(gateway) as ports:  # type: ignore[arg-type]
        gateway.fleet.registry = lambda: registry
        gateway.fleet.pods_behind = lambda _service: (PodEndpoint(pod, is_ready=True),)
        gateway.fleet.refresh()
        for watch in gateway.watches:
            watch.synced.set()
        port_to.send(ports["api"])
        await _report(gateway, pod)


def _gateway(port_to: Connection) -> None:
    import logging  # noqa: PLC0415

    import structlog  # noqa: PLC0415
    import uvloop  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(_serve(port_to))


async def _follow(port: int, streams: int, ready_to: Connection) -> None:
    """Keep the streams open and read what comes."""
    counts = [0] * streams

    async def follow(session: aiohttp.ClientSession, number: int) -> None:
        async with session.get(f"http://127.0.0.1:{port}/v1/fleet/events") as response:
            response.raise_for_status()
            async for _ in response.content.iter_any():
                counts[number] += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        tasks = [asyncio.create_task(follow(session, number)) for number in range(streams)]
        while not all(counts):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        before, began = sum(counts), time.monotonic()
        ready_to.send(streams)
        while True:
            await asyncio.sleep(0.5)
            rate = (sum(counts) - before) / streams / (time.monotonic() - began)
            ready_to.send(rate)
            if all(task.done() for task in tasks):
                break


def _followers(port: int, streams: int, ready_to: Connection) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        asyncio.run(_follow(port, streams, ready_to))


@contextlib.contextmanager
def _followed(port: int, streams: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Have the streams open in a process of their own while the context lasts."""
    if not streams:
        yield
        return
    ready, ready_to = mp.Pipe(duplex=False)
    process = mp.Process(target=_followers, args=(port, streams, ready_to), daemon=True)
    process.start()
    ready.recv()
    try:
        yield
    finally:
        process.terminate()
        process.join()
        rates = []
        while ready.poll():
            rates.append(ready.recv())
        print(f"events a second, each stream: {rates[-1]:.1f}" if rates else "no time for an event")


@contextlib.asynccontextmanager
async def _client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _measure(port: int, requests: int) -> list[float]:
    """Return the seconds of so many requests, one after another, a few milliseconds apart."""
    seconds = []
    async with _client() as session:
        for _ in range(requests):
            began = time.perf_counter()
            async with session.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=BODY) as response:
                response.raise_for_status()
                await response.read()
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.004)
    return seconds


def _text(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    return f"median {1e3 * statistics.median(ranked):.2f} ms  p95 {1e3 * ranked[int(0.95 * len(ranked))]:.2f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--requests", type=int, default=600)
    options = parser.parse_args()
    port_from, port_to = mp.Pipe(duplex=False)
    gateway = mp.Process(target=_gateway, args=(port_to,), daemon=True)
    gateway.start()
    port, rounds = port_from.recv(), 4
    found: dict[int, list[float]] = {0: [], options.streams: []}
    for _ in range(rounds):
        for streams, seconds in found.items():
            with _followed(port, streams):
                seconds.extend(asyncio.run(_measure(port, options.requests // rounds)))
    for streams, seconds in found.items():
        print(f"{streams:4} streams  {_text(seconds)}")
    ratio = statistics.median(found[options.streams]) / statistics.median(found[0])
    print(f"ratio of medians {ratio:.2f}")
    gateway.terminate()


if __name__ == "__main__":
    main()
