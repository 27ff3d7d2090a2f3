"""The two HTTP sides, each in its own process on one core: the real server with a stub engine, and a bare peer.

Knows: how each is started, profiled and stopped. Does not know: the clients, or what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from stub_engine import PATCH_SECONDS, StubEngine
from voxfleet_inference.server import serve as server
from voxfleet_inference.settings import ServeSettings

PROGRAM = Path(__file__).parent
PCM_PATCH = b"\0" * (2 * int(PATCH_SECONDS * 24000))
END_SECONDS = 60.0


def pin(cores: set[int]) -> None:
    """Restrict this process, and those that it starts, to these cores."""
    os.sched_setaffinity(0, cores)


def run_stub(file_descriptor: int) -> None:
    """Run the stub engine on the cores that the HTTP side does not use."""
    pin(set(range(os.cpu_count() or 1)) - {0} or {0})
    StubEngine(Connection(file_descriptor)).run()


def start_stub(settings: Any) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the stub; replaces the server's `start_engine_process`."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "--stub", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    connection = Connection(ours.detach())
    connection.send(settings)
    return process, connection


def run_server(port: int) -> None:
    """Serve with the real HTTP side and the stub engine."""
    server.start_engine_process = start_stub  # type: ignore[attr-defined] # serve imports it, and exports it not
    most = {"max_batch_size": 256, "max_queued_requests": 1000, "max_queued_audio_seconds": 1e6}
    known = {name: value for name, value in most.items() if name in ServeSettings.model_fields}
    settings = {"model_path": "/nowhere", "device": "cpu", "host": "127.0.0.1", "log_level": "warning", **known}
    ports = {"port": port, "metrics_port": 0, "internal_port": 0}
    server.serve(ServeSettings.model_validate(settings | ports))


def run_peer(port: int) -> None:
    """Serve a bare Starlette app that sends the same bytes on the same schedule."""

    async def speech(request: Request) -> StreamingResponse:
        patches = len((await request.json())["input"])

        async def audio() -> Any:
            due_at = time.monotonic()
            for made in range(1, patches + 1):
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                yield PCM_PATCH
                due_at += PATCH_SECONDS if made > 1 else 0.0  # the first two at once: one patch ahead of playback

        return StreamingResponse(audio(), media_type="audio/pcm")

    app = Starlette(routes=[Route("/v1/audio/speech", speech, methods=["POST"])])
    listening = socket.create_server(("127.0.0.1", port), backlog=2048)
    uvloop.run(server.QuietServer(server.uvicorn_config(app)).serve([listening]))


SIDES: dict[str, Callable[[int], None]] = {"peer": run_peer, "server": run_server}


def run_side(side: str, port: int, profile: Path | None) -> None:
    """Run one of the HTTP sides, under cProfile if a file for it is given."""
    if profile is None:
        SIDES[side](port)
        return
    profiler = cProfile.Profile()
    with contextlib.suppress(SystemExit):
        profiler.runcall(SIDES[side], port)
    profiler.dump_stats(profile)


@contextlib.contextmanager
def started(side: str, core: int, profile: Path | None) -> Iterator[tuple[int, int]]:
    """Start one HTTP side, pinned to a core; yields its port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(PROGRAM), "--side", side, "--port", str(port), "--core", str(core)]
    command += ["--profile", str(profile)] if profile is not None and side == "server" else []
    process = subprocess.Popen(command)
    try:
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM if side == "server" else signal.SIGKILL)
        process.wait(END_SECONDS)
