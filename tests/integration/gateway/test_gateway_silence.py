"""Pods that fall silent in the middle of a stream: one is dead, one is slow, one fails its polls alone."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

DONE = b'data: {"type": "speech.audio.done"}\n\n'
# A process of its own, since one that was stopped by a signal keeps its connections open and sends nothing, not even
# FIN, as a node does that has lost its power. Its first line: the two ports.
POD = """
import asyncio, json, sys
from aiohttp import web
HOST, EVENT, DONE = sys.argv[1], b"data: {}\\n\\n", sys.argv[3].encode()

async def load(request):
    ok = request.headers.get("Authorization") == "Bearer " + sys.argv[2]
    return web.json_response({"state": "ready", "free_rows": 4}, status=200 if ok else 401)

async def speech(request):
    await request.read()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(EVENT)
    await asyncio.sleep(600)

async def main():
    ports = []
    for method, path, handler in ("POST", "/v1/audio/speech", speech), ("GET", "/internal/load", load):
        app = web.Application()
        app.router.add_route(method, path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        ports.append(runner.addresses[0][1])
    print(json.dumps(ports), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class PodProcess:
    """What Stage.put_pods reads of a pod."""

    def __init__(self, address: str, token: str) -> None:
        arguments = [sys.executable, "-c", POD, address, token, DONE.decode()]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.address, self.token = address, token
        self.port, self.internal_port = json.loads(self.process.stdout.readline())

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
async def dead_pod(stage: Any, new_pod: Any) -> AsyncIterator[PodProcess]:
    address = (await new_pod()).address
    pod = PodProcess(address, stage.pod_token("dead"))
    yield pod
    pod.stop()


@contextlib.contextmanager
def refusing_polls(pod: Any) -> Iterator[None]:
    """Let the pod refuse its load polls, as with a port that a policy has closed."""
    token, pod.token = pod.token, "another"
    yield
    pod.token = token


async def ask(session: aiohttp.ClientSession, url: str, model: str, has_begun: asyncio.Event) -> tuple[bytes, bool]:
    """Return what came, and whether it ended as complete."""
    body, received = {"model": model, "input": "Hello.", "stream_format": "sse"}, bytearray()
    async with session.post(url, json=body) as answer:
        assert answer.status == 200
        has_begun.set()
        try:
            async for chunk in answer.content.iter_any():
                received += chunk
        except aiohttp.ClientError:
            return bytes(received), False
    return bytes(received), True


async def test_a_dead_pods_stream_is_cut_and_no_other(
    stage: Any, new_pod: Any, dead_pod: PodProcess, start_gateway: Any, session: aiohttp.ClientSession
) -> None:
    may_end = asyncio.Event()

    async def be_slow(_number: int, _request: Any) -> None:
        await may_end.wait()

    async def speak_on(_number: int, _request: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(may_end.wait(), 0.5)

    slow = await new_pod(chunks=[b"data: 1\n\n", DONE], between_chunks=be_slow)
    unpolled = await new_pod(chunks=[b"data: 1\n\n"] * 400 + [DONE], between_chunks=speak_on)
    stage.put_lease("eu-central", renew_time=datetime.now(UTC))
    for name, pod in {"slow": slow, "unpolled": unpolled, "dead": dead_pod}.items():
        pod.token = stage.pod_token(name)
        service = {"namespace": stage.apps, "name": f"narrator-{name}"}
        stage.put_model([stage.region("eu-central", phase="Awake", service=service)], name=name, model=name)
        stage.put_pods(name, pod, ready=True)
    url = (await start_gateway()).url("/v1/audio/speech")
    first = {name: asyncio.Event() for name in ("slow", "unpolled", "dead")}
    asked = {name: asyncio.create_task(ask(session, url, name, begun)) for name, begun in first.items()}
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(each.wait() for each in first.values()))
        with refusing_polls(unpolled):
            dead_pod.freeze()
            async with asyncio.timeout(100):  # less than the bound of a slow pod's silence
                received, is_complete = await asked["dead"]
            assert b"event: error\n" in received
            assert b"upstream_broke_off" in received
            assert not is_complete
            await asyncio.sleep(3)  # the others fell silent, or dark, at the same time
            assert not asked["slow"].done()
            assert not asked["unpolled"].done()
            may_end.set()
            async with asyncio.timeout(60):
                for name in ("slow", "unpolled"):
                    received, is_complete = await asked[name]
                    assert received.endswith(DONE)
                    assert is_complete
    finally:
        for task in asked.values():
            task.cancel()
