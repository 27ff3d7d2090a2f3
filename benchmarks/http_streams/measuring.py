"""The clients, and the processor time that one stream costs.

Knows: the client of `voxfleet-inference bench`, and a process's processor time. Does not know: the two HTTP sides.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import uvloop
from sides import started
from voxfleet_inference.bench.http_client import Target
from voxfleet_inference.bench.outcomes import Summary, summary_of
from voxfleet_inference.bench.schedule import Plan
from voxfleet_inference.bench.streams import RequestTemplate, Streams

START_SECONDS = 240.0  # importing torch alone takes over a minute on a busy machine
# The stub makes one patch per letter; streams of different lengths do not end, and restart, at the same moments.
TEXTS = tuple("a" * length for length in range(40, 72, 3))


def asking(port: int, texts: tuple[str, ...] = TEXTS) -> RequestTemplate:
    """Return the request of every client."""
    return RequestTemplate(
        target=Target.of(f"http://127.0.0.1:{port}", "/v1/audio/speech", None),
        texts=texts,
        body={"model": "voxcpm-1.5", "voice": "default", "response_format": "pcm"},
        audio_format="pcm",
        pcm_rate=24000,
        timeout_seconds=120,
    )


async def answering(port: int) -> None:
    """Send requests until one succeeds."""
    while True:
        streams = Streams(asking(port, ("a",)), Plan(concurrency=1, requests=1))
        await streams.run()
        if not streams.failed:
            return
        await asyncio.sleep(0.1)


def measure(side: str, core: int, streams: int, seconds: float, profile: Path | None) -> dict[str, Any]:
    """Run one side with that many concurrent clients; returns its row of the table."""
    with started(side, core, profile) as (port, pid):
        asyncio.run(asyncio.wait_for(answering(port), START_SECONDS))
        load = Streams(asking(port), Plan(concurrency=streams, seconds=seconds))
        before, own_before, began = processor_seconds(pid), time.process_time(), time.perf_counter()
        uvloop.run(load.run())
        elapsed = time.perf_counter() - began
        spent, own = processor_seconds(pid) - before, time.process_time() - own_before
    summary = summary_of(load.outcomes(), elapsed)
    return row(side, streams, summary, spent) | {"client_share": round(own / elapsed, 3)}


def row(side: str, streams: int, summary: Summary, spent_seconds: float) -> dict[str, Any]:
    """Return one row of the table; core_share is the share of one core that the HTTP side used."""
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
    """Return a process's user and system time so far, of all its threads."""
    # After the name in parentheses, utime and stime are the 12th and 13th fields (proc_pid_stat(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
