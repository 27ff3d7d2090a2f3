"""Runs `voxfleet-inference bench`: progress on stderr, statistics at the end, also after Ctrl-C.

Knows: signals, stderr, files, and when the client itself was the bottleneck.
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
from voxfleet_inference.bench.streams import RequestTemplate, Streams

SPEECH_PATH: Final = "/v1/audio/speech"
DEFAULT_TEXTS: Final = (
    "The weather is fine today, and the harbour is full of boats.",
    "今天天气很好，我们去公园走走。",
    "A fleet of small servers can speak to many listeners at once.",  # words: speech
    "每一个句子都由同一个声音读出来。",
)
_MAX_OPEN_STREAMS: Final = 1000
_OPEN_LOOP_SECONDS: Final = 30.0
_PROGRESS_SECONDS: Final = 1.0
_BUSY_SHARE: Final = 0.9  # of one core; beyond it, the delays may be those of the client


class BenchError(Exception):
    """The run cannot start; the message names the option to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """The options of `voxfleet-inference bench`."""

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


def run_bench(options: BenchOptions) -> int:
    """Run, print the statistics, and return the exit code: 0 if at least one response is complete.

    Raises:
        BenchError: an option is wrong.
    """
    template = _template(options)
    streams, seconds, busy_share = uvloop.run(_run(template, options.plan))
    summary = summary_of(
        streams.outcomes(), seconds, head_start_seconds=options.head_start_seconds, unfinished=streams.unfinished
    )
    sys.stdout.write(as_table(summary) + "\n")
    for kind, message in streams.error_messages.items():
        _print_error(f"{kind}: {message}")
    if busy_share > _BUSY_SHARE and seconds > _PROGRESS_SECONDS:
        _print_error(f"this client used {busy_share:.0%} of a core: the delays may be its own, not the server's")
    if options.json_file is not None:
        parameters = {"url": options.url, **template.body, **_plan_as_json(options.plan)}
        results = as_json(summary, parameters) | {"client_busy_share": round(busy_share, 3)}
        options.json_file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if summary.completed else 1


def texts_of(text_file: Path | None) -> Sequence[str]:
    """Return the lines of a file that are not empty, or DEFAULT_TEXTS without a file.

    Raises:
        BenchError: the file cannot be read or has no text.
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
    """Return the load; without an end given, four requests per stream, or half a minute of an open loop."""
    is_open = rate is not None
    streams = concurrency or (_MAX_OPEN_STREAMS if is_open else 1)
    if requests is None and seconds is None:
        requests, seconds = (None, _OPEN_LOOP_SECONDS) if is_open else (4 * streams, None)
    return Plan(concurrency=streams, requests=requests, seconds=seconds, rate=rate, seed=seed)


def _fields_of(extra: str) -> dict[str, Any]:
    try:
        fields = json.loads(extra)
    except ValueError as error:
        raise BenchError(f"--extra {extra!r} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BenchError(f'--extra {extra!r} must be a JSON object, such as {{"seed": 1}}')
    return fields


def _template(options: BenchOptions) -> RequestTemplate:
    try:
        target = Target.of(options.url, SPEECH_PATH, options.api_key)
    except ValueError as error:
        raise BenchError(f"--url: {error}") from error
    fixed = {"model": options.model, "voice": options.voice, "response_format": options.audio_format}
    return RequestTemplate(
        target=target,
        texts=texts_of(options.text_file),
        body=fixed | _fields_of(options.extra),
        audio_format=options.audio_format,
        pcm_rate=options.pcm_rate,
        timeout_seconds=options.timeout_seconds,
    )


async def _run(template: RequestTemplate, plan: Plan) -> tuple[Streams, float, float]:
    """Return the run, its duration in seconds and the share of a core that this process used; Ctrl-C ends it early."""
    streams, cpu_before = Streams(template, plan), _cpu_seconds()
    running = asyncio.create_task(streams.run())
    loop = asyncio.get_running_loop()
    # Ctrl-C cancels the requests, not the process, so that the statistics are still printed.
    loop.add_signal_handler(signal.SIGINT, running.cancel)
    progress = asyncio.create_task(_print_progress(streams))
    with contextlib.suppress(asyncio.CancelledError):
        await running
    seconds = streams.now
    progress.cancel()
    loop.remove_signal_handler(signal.SIGINT)
    return streams, seconds, (_cpu_seconds() - cpu_before) / seconds


async def _print_progress(streams: Streams) -> None:
    """Print a line on stderr each second, in place on a terminal; each ten seconds into a file."""
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


def _print_error(message: str) -> None:
    sys.stderr.write(f"voxfleet-inference: {message}\n")
