"""Measures, in Chromium, from a click to the first sound and from a cancel to silence: WebRTC beside a WebSocket.

    .venv/bin/python benchmarks/rtc --runs 14 --output

The page is one of the server's own. With --output both are measured where they leave the browser, at the monitor of a
PulseAudio sink (needs Debian's pulseaudio and pulseaudio-utils): a track plays in an audio element there, as in the
pages, and WebSocket audio in an AudioContext. Without it both are measured in the page by one AudioWorklet
(first_sound.js), through which no page plays a track, and which adds some 30 ms to it.

A player of WebSocket audio waits until it has some audio before it plays, or it would run dry between two patches: 0 s
is the bound that no real player reaches.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from browser import bench_page
from playwright.sync_api import Page
from sound_output import SoundOutput, sound_output
from stub_server import stub_server

TEXT: Final = (
    "The quick brown fox jumps over the lazy dog, and then it runs away into the deep dark forest, where it was never"
    " seen again since that day."
)
_BARE_ADDRESSES: Final = "--disable-features=WebRtcHideLocalIpsWithMdns"


@dataclass(frozen=True, slots=True)
class Way:
    """One row: how the page gets and plays its audio."""

    name: str
    kind: str  # ws, rtc
    connected_milliseconds: int = 0  # before the click; 0: at the click
    buffer_seconds: float = 0.0  # of audio that a player of WebSocket audio waits for
    is_graph: bool = False  # a track through an AudioContext, also at an output


BEFORE: Final = 1000
WAYS: Final = (
    Way("WebSocket, opened at the click", "ws"),
    Way("WebSocket, opened before", "ws", BEFORE),
    Way("WebSocket, opened before, 0.2 s buffer", "ws", BEFORE, buffer_seconds=0.2),
    Way("WebRTC, connected at the click", "rtc"),
    Way("WebRTC, connected before", "rtc", BEFORE),
    Way("WebRTC, before, by an AudioContext", "rtc", BEFORE, is_graph=True),
)
Result = Mapping[str, Any]


def run_one(page: Page, way: Way, model: str, output: SoundOutput | None, text: str = TEXT) -> Result:
    """Measure once."""
    options = {
        "bufferSeconds": way.buffer_seconds,
        "connectedMilliseconds": way.connected_milliseconds,
        "isGraph": way.is_graph,
        "audible": output is not None,
    }
    measured: Result = page.evaluate(
        "([kind, model, text, options]) => bench.one(kind, model, text, options)", [way.kind, model, text, options]
    )
    if output is None:
        return measured
    loud = output.loud_milliseconds(measured["begunAt"])
    silence = loud[-1] - (measured["cancelledAt"] - measured["begunAt"])
    return {**measured, "inPage": measured["firstSound"], "firstSound": loud[0], "silence": silence}


def table(results: Mapping[Way, Sequence[Result]]) -> str:
    """Return medians and extremes in milliseconds."""
    head = f"{'':40}{'first sound, median':>20}{'least':>8}{'most':>8}{'cancel to silence, median':>27}{'most':>8}"
    return "\n".join([head, *(_row(way, each) for way, each in results.items())])


def _row(way: Way, results: Sequence[Result]) -> str:
    first = [each["firstSound"] for each in results]
    silence = [max(0.0, each["silence"]) for each in results]
    shown = f"{statistics.median(first):20.0f}{min(first):8.0f}{max(first):8.0f}"
    return f"{way.name:40}{shown}{statistics.median(silence):27.0f}{max(silence):8.0f}"


def _measured(options: argparse.Namespace) -> dict[Way, list[Result]]:
    results: dict[Way, list[Result]] = {WAYS[at]: [] for at in options.ways}
    server = nullcontext((options.url, 0)) if options.url else stub_server()
    flags = [_BARE_ADDRESSES] if options.bare_addresses else []
    with ExitStack() as stack:
        url, _ = stack.enter_context(server)
        output = stack.enter_context(sound_output()) if options.output else None
        page = stack.enter_context(bench_page(url, *flags, sound=output.environment if output else None))
        page.evaluate("() => fetch('/v1/audio/speech/rtc')")  # as a page asks whether it is offered
        for run in range(options.runs + options.warm_ups):
            for way, measured in results.items():  # in turns, so that another process's load falls on all
                result = run_one(page, way, options.model, output)
                if run >= options.warm_ups:
                    measured.append(result)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", help="of a server; without it one with a stub engine, which speaks at once")
    parser.add_argument("--model", default="voxcpm-1.5")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--warm-ups", type=int, default=1, help="runs before: the first sound starts Chromium's audio")
    parser.add_argument("--json", type=Path, help="file for all results")
    parser.add_argument("--bare-addresses", action="store_true", help="let Chromium offer addresses, not .local names")
    parser.add_argument("--output", action="store_true", help="measure at an audio output, by PulseAudio")
    parser.add_argument("--ways", type=int, nargs="+", default=range(len(WAYS)), help="rows to measure, from 0")
    options = parser.parse_args()
    measured = _measured(options)
    if options.json:
        options.json.write_text(json.dumps({way.name: each for way, each in measured.items()}), encoding="utf-8")
    print(table(measured))


if __name__ == "__main__":
    main()
