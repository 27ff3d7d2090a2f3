"""The stub pod, the stub API server and the client, with one another over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

Load = Callable[[str], Any]


@pytest.fixture
async def pod(load: Load) -> Any:
    return load("sides.stub_pod").StubPod()


@pytest.mark.parametrize("pause_ms", [0, 5])
async def test_a_pod_serves_one_request_after_another_on_a_connection(load: Load, pod: Any, pause_ms: int) -> None:
    audio, loads = load("clients.audio"), load("clients.load")
    pool, text = load("clients.http_client").Pool((await pod.start(),)), audio.SpokenText(3, pause_ms)
    for _ in range(2):
        outcome = await loads.send(pool, loads.request_of("m", text), time.monotonic(), audio.StreamReader(text))
        assert (outcome.error, outcome.body_bytes) == (None, 3 * audio.CHUNK_BYTES)
        assert len(outcome.chunks.ages()) == 3
        assert all(0 <= age < 10 for age in outcome.chunks.ages())
        assert outcome.chunks.sent_at[2] - outcome.chunks.sent_at[1] >= 0.8 * text.pause_seconds
    assert len(pool._idle) == 1
    assert pod.open_requests == 0
    pool.close()


async def test_a_pod_reads_a_request_in_pieces_and_reports_its_load(pod: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await pod.start())
    body = b'{"input":"1 chunks each 0 ms"}'
    for piece in (b"POST / HTTP/1.1\r\nContent-Le", b"ngth: %d\r\n\r\n" % len(body), body[:7], body[7:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    await reader.readuntil(b"\r\n0\r\n\r\n")
    pod.state = "loading"
    writer.write(b"GET /internal/load HTTP/1.1\r\nHost: pod\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert json.loads(await reader.readuntil(b"}"))["state"] == "loading"
    writer.close()


async def test_a_client_that_leaves_ends_its_stream(pod: Any) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", await pod.start())
    body = b'{"input":"99 chunks each 5 ms"}'
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    async with asyncio.timeout(30):
        while not pod.open_requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        writer.close()
        while pod.open_requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b'HTTP/1.1 429 X\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"code": "full"', "429 full"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "cut off"),
        (b"", "cut off"),
        (b"no HTTP at all\r\n\r\n", "no HTTP"),
    ],
)
async def test_failures_have_a_kind(load: Load, response: bytes, error: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        writer.close()

    loads, server = load("clients.load"), await asyncio.start_server(answer, "127.0.0.1", 0)
    pool = load("clients.http_client").Pool((server.sockets[0].getsockname()[1],))
    request = loads.request_of("m", load("clients.audio").SpokenText(1))
    outcomes = await loads.closed_loop(pool, request, requests=3, in_flight=2)
    assert loads.failures(outcomes) == {error: 3}
    server.close()


async def test_a_refused_connection_is_an_outcome(load: Load, unused_tcp_port: int) -> None:
    loads, pool = load("clients.load"), load("clients.http_client").Pool((unused_tcp_port,))
    outcomes = await loads.at_times(pool, loads.evenly(b"", per_second=100, seconds=0.02))
    assert loads.failures(outcomes) == {"ConnectionRefusedError": 2}


async def test_a_renewal_wakes_a_region_and_the_watches_see_it(load: Load) -> None:
    scenario = load("sides.scenario")
    cluster = load("sides.stub_cluster").StubCluster(scenario.Scenario(is_asleep=True, wake_seconds=0.2))
    base = f"http://127.0.0.1:{await cluster.start()}"
    lease = f"{base}/apis/coordination.k8s.io/v1/namespaces/{scenario.DEMAND}/leases/{scenario.service_name(0, 0)}"
    slices = f"{base}/apis/discovery.k8s.io/v1/endpointslices"
    [pod] = cluster.regions[scenario.service_name(0, 0)].pods.values()
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        listed = await (await session.get(slices)).json()
        assert listed["items"] == []
        stale = {"metadata": {"resourceVersion": "0"}, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
        assert (await session.patch(lease, json=stale)).status == 409
        known = await (await session.get(lease)).json()
        patch = stale | {"metadata": {"resourceVersion": known["metadata"]["resourceVersion"]}}
        assert (await session.patch(lease, json=patch)).status == 200
        query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        watch = await session.get(slices, params=query)
        event = json.loads(await watch.content.readline())
        assert (event["type"], event["object"]["endpoints"][0]["conditions"]) == ("ADDED", {"ready": False})
        while pod.state != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        watch.close()


def test_a_process_runs_on_its_cores_and_is_measured(load: Load) -> None:
    processes = load("sides.processes")
    core = min(os.sched_getaffinity(0))
    program = "import time; print(1, flush=True); [0 for _ in range(10**7)]; print(2, flush=True); time.sleep(600)"
    with processes.running([sys.executable, "-c", program], (core,), stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert os.sched_getaffinity(process.pid) == {core}
        meter = processes.Meter({"busy": (process.pid,)})
        with meter.measuring():
            process.stdout.readline()
        assert 0.02 < meter.spent_seconds["busy"] <= meter.elapsed_seconds + 0.1
        assert processes.resident_bytes(process.pid) > 2**20
    assert process.returncode is not None
