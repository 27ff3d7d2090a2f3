"""Runs a bench: texts in, progress while it runs, figures at the end, also when it is interrupted.

Knows: signals, stderr, files and what makes a run worthless.
Does not know: HTTP, audio formats or percentiles.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from voxfleet_inference.bench.http_client import Target
from voxfleet_inference.bench.outcomes import summary_of
from voxfleet_inference.bench.report import as_json, as_table
from voxfleet_inference.bench.schedule import Plan
from voxfleet_inference.bench.streams import Asking, Streams

SPEECH_PATH: Final = "/v1/audio/speech"
DEFAULT_TEXTS: Final = (
    "The weather is fine today, and the harbour is full of boats.",
    "今天天气很好，我们去公园走走。",
    "A fleet of small servers can speak to many listeners at once.",
    "每一个句子都由同一个声音读出来。",
)
_MOST_OPEN_STREAMS: Final = 1000
_OPEN_SECONDS: Final = 30.0
_PROGRESS_SECONDS: Final = 1.0
_BUSY_SHARE: Final = 0.9  # of one core: beyond, the client measures itself


class BenchError(Exception):
    """A bench that cannot begin; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What to measure."""

    url: str
    model: str
    voice: str
    audio_format: str
    plan: Plan
    text_file: Path | None
    extra: str  # JSON
    api_key: str | None
    pcm_rate: int
    head_start_seconds: float
    timeout_seconds: float
    json_file: Path | None


def bench(wanted: Bench) -> int:
    """Measure, print, and return the exit code: 0 when at least one request was answered in full.

    Raises:
        BenchError: it cannot begin.
    """
    asking = _asking(wanted)
    streams, seconds, busy_share = uvloop.run(_measured(asking, wanted.plan))
    summary = summary_of(
        streams.outcomes(), seconds, head_start_seconds=wanted.head_start_seconds, unfinished=streams.unfinished
    )
    sys.stdout.write(as_table(summary) + "\n")
    for kind, message in streams.said.items():
        _say(f"{kind}: {message}")
    if busy_share > _BUSY_SHARE and seconds > _PROGRESS_SECONDS:
        _say(f"this client used {busy_share:.0%} of a core: it may have been the slower side")
    if wanted.json_file is not None:
        asked = {"url": wanted.url, **asking.body, **_plan_as_json(wanted.plan)}
        told = as_json(summary, asked) | {"client_busy_share": round(busy_share, 3)}
        wanted.json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0 if summary.completed else 1


def texts_of(text_file: Path | None) -> Sequence[str]:
    """One text per line; empty lines are left out.

    Raises:
        BenchError: there is none.
    """
    if text_file is None:
        return DEFAULT_TEXTS
    try:
        lines = text_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"--text-file {text_file} cannot be read: {error}") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise BenchError(f"--text-file {text_file} has no text; write one per line")
    return texts


def plan_of(
    concurrency: int | None, requests: int | None, seconds: float | None, rate: float | None, seed: int
) -> Plan:
    """The load that was asked for; without an end given, four requests per stream, or half a minute of an open loop."""
    is_open = rate is not None
    streams = concurrency or (_MOST_OPEN_STREAMS if is_open else 1)
    if requests is None and seconds is None:
        requests, seconds = (None, _OPEN_SECONDS) if is_open else (4 * streams, None)
    return Plan(concurrency=streams, requests=requests, seconds=seconds, rate=rate, seed=seed)


def _fields_of(extra: str) -> dict[str, Any]:
    try:
        fields = json.loads(extra)
    except ValueError as error:
        raise BenchError(f"--extra {extra!r} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BenchError(f'--extra {extra!r} must be a JSON object, such as {{"seed": 1}}')
    return fields


def _asking(wanted: Bench) -> Asking:
    try:
        target = Target.of(wanted.url, SPEECH_PATH, wanted.api_key)
    except ValueError as error:
        raise BenchError(f"--url: {error}") from error
    fixed = {"model": wanted.model, "voice": wanted.voice, "response_format": wanted.audio_format}
    return Asking(
        target=target,
        texts=texts_of(wanted.text_file),
        body=fixed | _fields_of(wanted.extra),
        audio_format=wanted.audio_format,
        pcm_rate=wanted.pcm_rate,
        timeout_seconds=wanted.timeout_seconds,
    )


async def _measured(asking: Asking, plan: Plan) -> tuple[Streams, float, float]:
    """The run, its length in seconds and the share of a core that this process used; Ctrl-C ends it early."""
    streams, cpu_before = Streams(asking, plan), _cpu_seconds()
    running = asyncio.create_task(streams.run())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, running.cancel)
    progress = asyncio.create_task(_tell_progress(streams))
    with contextlib.suppress(asyncio.CancelledError):
        await running
    seconds = streams.now
    progress.cancel()
    loop.remove_signal_handler(signal.SIGINT)
    return streams, seconds, (_cpu_seconds() - cpu_before) / seconds


async def _tell_progress(streams: Streams) -> None:
    """A line on stderr, rewritten on a terminal."""
    ending, every = ("\r", _PROGRESS_SECONDS) if sys.stderr.isatty() else ("\n", 10 * _PROGRESS_SECONDS)
    while True:
        await asyncio.sleep(every)
        failed = streams.failed
        line = f"{streams.now:6.0f} s: {streams.open_streams} open, {len(streams.ended) - failed} done, {failed} failed"
        sys.stderr.write(f"{line:<60}{ending}")
        sys.stderr.flush()


def _plan_as_json(plan: Plan) -> dict[str, Any]:
    loop = {"concurrency": plan.concurrency} if plan.rate is None else {"rate": plan.rate, "seed": plan.seed}
    return loop | {"requests": plan.requests, "seconds": plan.seconds}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(message: str) -> None:
    sys.stderr.write(f"voxfleet-inference: {message}\n")
