"""Measures what open WebRTC sessions cost the HTTP process: its processor time, speaking and silent.

    .venv/bin/python benchmarks/rtc/sessions.py --sessions 20

The server is the real one with the stub engine of benchmarks/http_streams, so that the process measured is the one that
encodes, encrypts and sends; the clients are in one page of Chromium, and play.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, Final

from browser import bench_page
from stub_server import stub_server

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OPEN: Final = """async ([count, text]) => {
  window.sessions = [];
  for (let at = 0; at < count; at++) {
    const messages = [{ type: "session.start", model: "voxcpm-1.5", input: text, seed: at }, { type: "text.flush" }];
    const session = await rtc.openRtcSession({ messages, request: fetch.bind(window) });
    const audio = new Audio();
    audio.srcObject = session.stream;
    audio.muted = true;
    audio.play();
    window.sessions.push(session);
  }
}"""
_RECEIVED: Final = """async () => {
  const all = [];
  for (const { receiver } of window.sessions)
    for (const stats of (await receiver.getStats()).values()) if (stats.type === "inbound-rtp") all.push(stats);
  const sum = (name) => all.reduce((total, each) => total + each[name], 0);
  return { receiving: all.filter((each) => each.packetsReceived).length,
           packets: sum("packetsReceived"),
           lost: sum("packetsLost"),
           concealed: sum("concealedSamples") / sum("totalSamplesReceived") };
}"""


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def sample(page: Any, pid: int, seconds: float, sessions: int, what: str) -> str:
    """Return a row: processor time per second and session, from one interval."""
    before, used, began = page.evaluate(_RECEIVED), processor_seconds(pid), time.monotonic()
    time.sleep(seconds)
    after, passed = page.evaluate(_RECEIVED), time.monotonic() - began
    percent = 100 * (processor_seconds(pid) - used) / passed
    packets = (after["packets"] - before["packets"]) / passed / sessions
    shown = f"{what:10}{percent:8.1f} % of a core, {percent / sessions:.2f} % per session"
    return f"{shown}, {packets:.1f} packets/s each, {after['lost']} lost, {100 * after['concealed']:.1f} % concealed"


def _wait_until_all_speak(page: Any, sessions: int) -> None:
    """Wait for the first packet of every session: until then it costs nothing."""
    for _ in range(300):
        if page.evaluate(_RECEIVED)["receiving"] == sessions:
            return
        time.sleep(0.1)
    raise TimeoutError("not every session speaks")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with stub_server() as (url, pid), bench_page(url) as page:
        page.evaluate(_OPEN, [options.sessions, "x" * 300])  # the stub speaks 160 ms per character
        _wait_until_all_speak(page, options.sessions)
        print(sample(page, pid, options.seconds, options.sessions, "speaking"))
        page.evaluate("() => window.sessions.forEach((session) => session.cancel())")
        time.sleep(2)
        print(sample(page, pid, options.seconds, options.sessions, "silent"))


if __name__ == "__main__":
    main()
