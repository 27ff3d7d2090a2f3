"""How many real-time streams the HTTP process carries on one core: the whole server but for the model.

The real HTTP side (admission, pipe, pickling, resampling, encoding, uvicorn) runs pinned to one core. Behind its real
pipe a stub engine, on the other cores, hands each sentence a patch of 160 ms at a time on schedule, at most 32 rows a
step, as a GPU would. The peer, in the same run on the same core, is a bare Starlette app under the same uvicorn that
sends the same bytes on the same schedule: what any Python server pays. A listener's player starts with its first byte
and the schedule is one patch ahead of it, so an underrun means that the HTTP side was 160 ms late.

    python benchmarks/http_streams.py --streams 50 100 200 --seconds 15
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from voxfleet_inference.bench.http_client import Target
from voxfleet_inference.bench.outcomes import Summary, summary_of
from voxfleet_inference.bench.schedule import Plan
from voxfleet_inference.bench.streams import Asking, Streams
from voxfleet_inference.engine.messages import (
    Cancel,
    Loaded,
    Occupancy,
    Patch,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
)
from voxfleet_inference.engine.sequences import Outcome
from voxfleet_inference.server import serve as server
from voxfleet_inference.settings import ServeSettings

PATCH_SECONDS, PATCH_SAMPLES, MODEL_RATE = 0.16, 7056, 44100
PCM_PATCH = b"\0" * (2 * int(PATCH_SECONDS * 24000))
ROWS = 32
START_SECONDS = 60.0
# One letter is one patch; streams of different lengths do not stay in step with one another.
TEXTS = tuple("a" * length for length in range(40, 72, 3))


def pin(cores: set[int]) -> None:
    """Keep this process, and those that it starts, on these cores."""
    os.sched_setaffinity(0, cores)


# -- the stub engine --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Spoken:
    """A sentence, and when its next patch is due."""

    sentence: Sentence
    due_at: float
    made: int = 0


class StubEngine:
    """Hands out patches on schedule; speaks the pipe's protocol and nothing else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: dict[int, Spoken] = {}
        noise = np.random.default_rng(0)
        self._samples = noise.standard_normal(PATCH_SAMPLES, dtype=np.float32) * 0.1
        self._latents = noise.standard_normal((4, 64), dtype=np.float32)

    def run(self) -> None:
        """Until told to stop."""
        self._connection.recv()
        self._connection.send(Loaded(MODEL_RATE, PATCH_SAMPLES, 1 / PATCH_SECONDS, 4, 64, 0.0, "stub"))
        with contextlib.suppress(EOFError, OSError):
            while self._obey():
                self._step(time.monotonic())

    def _obey(self) -> bool:
        """Take commands until a patch is due; whether to go on."""
        pause = min((each.due_at for each in self._open.values()), default=time.monotonic() + 1) - time.monotonic()
        while self._connection.poll(max(0.0, pause)):
            match self._connection.recv():
                case Submit(sentence):
                    self._open[sentence.sequence_id] = Spoken(sentence, time.monotonic())
                case Cancel(sequence_id):
                    self._open.pop(sequence_id, None)
                case Stop():
                    return False
            pause = 0.0
        return True

    def _step(self, now: float) -> None:
        due = sorted((each for each in self._open.values() if each.due_at <= now), key=lambda each: each.due_at)[:ROWS]
        if not due:
            return
        patches = tuple(Patch(each.sentence.sequence_id, self._latents, self._samples) for each in due)
        self._connection.send(StepDone(0.005, patches, Occupancy(len(self._open), 0)))
        for each in due:
            each.made += 1
            each.due_at += PATCH_SECONDS if each.made > 1 else 0.0  # one patch ahead of the player
            if each.made >= len(each.sentence.text):
                number = each.sentence.sequence_id
                self._connection.send(SequenceEnded(number, Outcome.FINISHED, patches=each.made, text_tokens=each.made))
                del self._open[number]


def start_stub(settings: Any) -> tuple[subprocess.Popen[bytes], Connection]:
    """What `start_engine_process` does, with the stub at the other end."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, "--stub", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    connection = Connection(ours.detach())
    connection.send(settings)
    return process, connection


# -- the two HTTP sides -----------------------------------------------------------------------------------------------


def run_server(port: int) -> None:
    """The real one."""
    server.start_engine_process = start_stub
    most = {"max_batch_size": 256, "max_queued_requests": 1000, "max_queued_audio_seconds": 1e6}
    known = {name: value for name, value in most.items() if name in ServeSettings.model_fields}
    settings = {"model_path": "/nowhere", "device": "cpu", "host": "127.0.0.1", "log_level": "warning", **known}
    ports = {"port": port, "metrics_port": 0, "internal_port": 0}
    server.serve(ServeSettings.model_validate(settings | ports))


def run_peer(port: int) -> None:
    """The same bytes at the same moments, and nothing else."""

    async def speech(request: Request) -> StreamingResponse:
        patches = len((await request.json())["input"])

        async def audio() -> Any:
            due_at = time.monotonic()
            for made in range(1, patches + 1):
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                yield PCM_PATCH
                due_at += PATCH_SECONDS if made > 1 else 0.0

        return StreamingResponse(audio(), media_type="audio/pcm")

    app = Starlette(routes=[Route("/v1/audio/speech", speech, methods=["POST"])])
    listening = socket.create_server(("127.0.0.1", port), backlog=2048)
    uvloop.run(server.QuietServer(server.uvicorn_config(app)).serve([listening]))


SIDES = {"peer": run_peer, "server": run_server}


@contextlib.contextmanager
def started(side: str, core: int, profile: Path | None) -> Iterator[tuple[int, int]]:
    """One HTTP side on a core of its own: its port and its process number."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--side", side, "--port", str(port), "--core", str(core)]
    command += ["--profile", str(profile)] if profile is not None and side == "server" else []
    process = subprocess.Popen(command)
    try:
        asyncio.run(asyncio.wait_for(answering(port), START_SECONDS))
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM if side == "server" else signal.SIGKILL)
        process.wait(START_SECONDS)


async def answering(port: int) -> None:
    """Until a request is answered."""
    while True:
        streams = Streams(asking(port, ("a",)), Plan(concurrency=1, requests=1))
        await streams.run()
        if not streams.failed:
            return
        await asyncio.sleep(0.1)


# -- the listeners ----------------------------------------------------------------------------------------------------


def asking(port: int, texts: tuple[str, ...] = TEXTS) -> Asking:
    """The request of every listener."""
    return Asking(
        target=Target.of(f"http://127.0.0.1:{port}", "/v1/audio/speech", None),
        texts=texts,
        body={"model": "voxcpm-1.5", "voice": "default", "response_format": "pcm"},
        audio_format="pcm",
        pcm_rate=24000,
        timeout_seconds=120,
    )


def measure(side: str, core: int, streams: int, seconds: float, profile: Path | None) -> dict[str, Any]:
    """One side under so many listeners."""
    with started(side, core, profile) as (port, pid):
        listening = Streams(asking(port), Plan(concurrency=streams, seconds=seconds))
        before, own_before, began = processor_seconds(pid), time.process_time(), time.perf_counter()
        uvloop.run(listening.run())
        elapsed = time.perf_counter() - began
        spent, own = processor_seconds(pid) - before, time.process_time() - own_before
    summary = summary_of(listening.outcomes(), elapsed)
    return row(side, streams, summary, spent) | {"client_share": round(own / elapsed, 3)}


def row(side: str, streams: int, summary: Summary, spent_seconds: float) -> dict[str, Any]:
    """One line of the table."""
    first = summary.first_audio_seconds
    return {
        "side": side,
        "streams": streams,
        "completed": summary.completed,
        "errors": summary.errors,
        "audio_seconds": round(summary.audio_seconds, 1),
        "processor_ms_per_stream_second": round(1000 * spent_seconds / summary.audio_seconds, 3),
        "core_share": round(spent_seconds / summary.seconds, 3),
        "streams_with_underruns": summary.streams_with_underruns,
        "stalled_seconds": round(summary.stalled_seconds, 3),
        "first_audio_ms": {}
        if first is None
        else {"p50": round(1000 * first.p50, 1), "p99": round(1000 * first.p99, 1)},
    }


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[50, 100, 200], help="listeners at a time")
    parser.add_argument("--seconds", type=float, default=15.0, help="per row of the table")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the HTTP side here (it slows it down)")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    for hidden in ("--side", "--port", "--core", "--stub"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stub:
        pin(set(range(os.cpu_count() or 1)) - {0} or {0})
        StubEngine(Connection(int(arguments.stub))).run()
    elif arguments.side:
        pin({int(arguments.core)})
        be(arguments.side, int(arguments.port), arguments.profile)
    else:
        report(arguments)


def be(side: str, port: int, profile: Path | None) -> None:
    """Be one of the HTTP sides, profiled or not."""
    if profile is None:
        SIDES[side](port)
        return
    profiler = cProfile.Profile()
    with contextlib.suppress(SystemExit):
        profiler.runcall(SIDES[side], port)
    profiler.dump_stats(profile)


def report(arguments: argparse.Namespace) -> None:
    """All rows, and how the server compares with its peer."""
    cores = sorted(os.sched_getaffinity(0))
    pin(set(cores[1:]) or set(cores))
    rows = []
    for streams in arguments.streams:
        for side in SIDES:
            rows.append(measure(side, cores[0], streams, arguments.seconds, arguments.profile))
            print(json.dumps(rows[-1]), flush=True)
        cost = [each["processor_ms_per_stream_second"] for each in rows[-2:]]
        print(f"{streams} streams: {cost[1] / cost[0]:.2f} times the peer's processor time", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
