"""Measures what the gateway adds to the time to first byte: the same requests, direct and through a gateway.

Prints one line of JSON; of its values, processor time per request is comparable even on a busy machine. No cluster is
needed: the gateway's HTTP side runs as in production, and its fleet is set to one awake pod, a process that sends 20
chunks at once. Client, gateway and pod are three processes; requests alternate between the two paths, so that other
load on the machine affects both alike.

    python benchmarks/gateway_overhead.py --requests 2000 --concurrency 4
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.gateway import open_gateway
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.serving import listening
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import configure_logs

CHUNK = b"\0" * 14_112  # 160 ms of 44.1 kHz s16le
CHUNKS = 20
KEY = RegionKey("default", "narrator", "eu-central")
WARM_UP_REQUESTS = 50
START_SECONDS = 120.0  # a busy machine starts slowly


async def _speech(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
    await response.prepare(request)
    for _ in range(CHUNKS):
        await response.write(CHUNK)
    return response


async def _pod(ports: "multiprocessing.Queue[int]") -> None:
    app = web.Application()
    app.router.add_post("/v1/audio/speech", _speech)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports.put(runner.addresses[0][1])
    await asyncio.Event().wait()


async def _gateway(ports: "multiprocessing.Queue[int]", pod_port: int) -> None:
    """Run a gateway whose fleet is set here instead of watched."""
    settings = Settings(region=KEY.region, internal_key="x", host="127.0.0.1", port=0, metrics_port=0, internal_port=0)
    address = PodAddress("127.0.0.1", pod_port)
    region = RegionEntry(name=KEY.region, service=ObjectRef(namespace="default", name="eu"))
    schema = "voxfleet.dev/registry/v1"
    model = ModelEntry(schema=schema, namespace=KEY.namespace, name=KEY.name, model="m", regions=(region,))
    registry = Registry.of([model])
    async with open_gateway(settings, api=None) as gateway, listening(gateway) as opened:  # type: ignore[arg-type]
        gateway.fleet.registry = lambda: registry
        gateway.fleet.pods_behind = lambda _service: (PodEndpoint(address, is_ready=True),)
        gateway.fleet.refresh()
        report = LoadReport(state="ready", free_rows=64)
        gateway.fleet.record_report(KEY, address, ReceivedReport(report, {}, time.monotonic()))
        ports.put(opened["api"])
        await asyncio.Event().wait()


def _run_pod(ports: "multiprocessing.Queue[int]") -> None:
    uvloop.run(_pod(ports))


def _run_gateway(ports: "multiprocessing.Queue[int]", pod_port: int) -> None:
    configure_logs("warning")
    uvloop.run(_gateway(ports, pod_port))


@contextlib.contextmanager
def started() -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Start both processes; yield their ports and process ids."""
    context = multiprocessing.get_context("spawn")
    ports: Any = context.Queue()
    processes = [context.Process(target=_run_pod, args=(ports,), daemon=True)]
    try:
        processes[0].start()
        pod_port = ports.get(timeout=START_SECONDS)
        processes.append(context.Process(target=_run_gateway, args=(ports, pod_port), daemon=True))
        processes[1].start()
        gateway_port = ports.get(timeout=START_SECONDS)
        yield pod_port, gateway_port, (processes[0].pid or 0, processes[1].pid or 0)
    finally:
        for process in processes:
            process.kill()
            process.join()


def processor_seconds(pid: int) -> float:
    """Return the user and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send_request(session: aiohttp.ClientSession, port: int) -> tuple[float, float]:
    """Return the seconds to the first byte of the body and to the last."""
    body = {"model": "m", "input": "Hello.", "response_format": "wav"}
    began = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=body) as response:
        await response.content.readany()
        first = time.perf_counter() - began
        await response.read()
        if response.status != 200:  # noqa: PLR2004
            raise SystemExit(f"status {response.status} from port {port}")
    return first, time.perf_counter() - began


@contextlib.asynccontextmanager
async def client(concurrency: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session with a connection for each worker and path."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2 * concurrency)) as session:
        yield session


async def measure(pod_port: int, gateway_port: int, requests: int, concurrency: int) -> dict[str, Any]:
    """Return the latencies of both paths, with requests that alternate between them, from several workers."""
    times: dict[str, list[float]] = {"direct": [], "gateway": []}
    paths = (("direct", pod_port), ("gateway", gateway_port))
    async with client(concurrency) as session:
        for _ in range(WARM_UP_REQUESTS):
            for _name, port in paths:
                await send_request(session, port)

        async def worker() -> None:
            for _ in range(requests // concurrency):
                for name, port in paths:
                    first, _last = await send_request(session, port)
                    times[name].append(first)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        elapsed_seconds = time.perf_counter() - began
    return summary(times, elapsed_seconds, concurrency)


def summary(times: dict[str, list[float]], elapsed_seconds: float, concurrency: int) -> dict[str, Any]:
    """Return the statistics: first byte in milliseconds of both paths, and what the gateway adds."""
    rows = {name: _percentiles(values) for name, values in times.items()}
    return {
        "requests_per_path": len(times["direct"]),
        "concurrency": concurrency,
        "requests_per_second": round(2 * len(times["direct"]) / elapsed_seconds, 1),
        "first_byte_ms": rows,
        "added_ms": {name: round(rows["gateway"][name] - rows["direct"][name], 3) for name in rows["direct"]},
        "ratio": {name: round(rows["gateway"][name] / rows["direct"][name], 2) for name in rows["direct"]},
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {f"p{percent}": round(1000 * cuts[percent - 1], 3) for percent in (50, 95, 99)}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


def main() -> None:
    """Measure once and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1000, help="requests per path; at most 20000")
    parser.add_argument("--concurrency", type=int, default=1, help="requests in flight; at most 64")
    arguments = parser.parse_args()
    requests, concurrency = min(arguments.requests, 20_000), min(arguments.concurrency, 64)
    with started() as (pod_port, gateway_port, pids):
        before = [processor_seconds(pid) for pid in pids]
        result = uvloop.run(measure(pod_port, gateway_port, requests, concurrency))
        spent = [processor_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
    # Requests through the gateway; the pod serves those of both paths.
    sent = requests // concurrency * concurrency + WARM_UP_REQUESTS
    result["processor_ms_per_request"] = {"pod": _ms(spent[0] / (2 * sent)), "gateway": _ms(spent[1] / sent)}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
