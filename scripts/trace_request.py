"""Prints through how many files of voxfleet_inference one speech request passes, and one scheduling pass of the engine.

Starts the real server with the tiny random checkpoint, lets one request warm it up, then counts the calls of the next
request in both processes (scripts/call_trace). A switch is a call from one file of the package into another.

usage: trace_request.py [--list]     (--list names the files)
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from voxfleet_testbed.network.addresses import ports_for_later

ROOT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 120.0
TEXT: Final = "The rain had stopped. Nobody was in the street, and the lamps were lit."  # words: speech
SETTLE_SECONDS: Final = 1.0  # for what a response leaves to do behind it


def speak(port: int) -> int:
    """Send one request; return the bytes of its answer."""
    body = json.dumps({"model": "voxcpm-1.5", "input": TEXT, "response_format": "pcm", "seed": 1}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/audio/speech", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return len(answer.read())


def wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    """Poll readiness.

    Raises:
        TimeoutError: the server did not become ready.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"the server was not ready within {START_SECONDS:g} s")


def processes_of(server: subprocess.Popen[bytes]) -> list[int]:
    """The server and its engine process."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="utf-8").split()
    return [server.pid, *map(int, children)]


def traced_request(folder: Path) -> list[dict[str, Any]]:
    """Count one request's calls: one record for the HTTP process, one for the engine."""
    model, traces = folder / "model", folder / "traces"
    traces.mkdir()
    python, package = sys.executable, "voxfleet_inference"
    subprocess.run([python, "-m", package, "tiny-checkpoint", str(model)], check=True, stdout=subprocess.DEVNULL)
    ports = ports_for_later(3)
    flags = zip(("--port", "--metrics-port", "--internal-port"), map(str, ports), strict=True)
    command = [python, "-m", package, "serve", "--model-path", str(model), "--device", "cpu", "--host", "127.0.0.1"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "scripts/call_trace"),
        "VOXFLEET_CALL_TRACE": str(traces),
        "VOXFLEET_CALL_TRACE_PACKAGE": package,
        "VOXFLEET_INTERNAL_TOKEN": "trace",
    }
    server = subprocess.Popen(
        [*command, *(part for pair in flags for part in pair)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(ports[0], server)
        speak(ports[0])
        time.sleep(SETTLE_SECONDS)
        processes = processes_of(server)
        for each in processes:
            os.kill(each, signal.SIGUSR1)
        speak(ports[0])
        time.sleep(SETTLE_SECONDS)
        return [ended_trace(traces, each) for each in processes]
    finally:
        server.terminate()
        server.wait(30)


def ended_trace(traces: Path, process: int) -> dict[str, Any]:
    """Stop counting in a process and read what it counted; the engine's main thread may be asleep for a moment."""
    os.kill(process, signal.SIGUSR2)
    path, deadline = traces / f"{process}.json", time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {process} wrote no trace")
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--list", action="store_true", help="name the files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        http, engine = traced_request(Path(folder))
    files = http["files"].keys() | engine["files"].keys()
    print(f"request: {len(files)} files ({len(http['files'])} HTTP process, {len(engine['files'])} engine process)")
    print(f"request: {http['switches']} switches in the HTTP process, {engine['switches']} in the engine")
    passes = sorted(engine["passes"], key=lambda each: (len(each["files"]), each["switches"]))
    if passes:
        widest, usual = passes[-1], passes[len(passes) // 2]
        print(f"scheduling pass: {len(usual['files'])} files, {usual['switches']} switches (median of {len(passes)})")
        print(f"scheduling pass: {len(widest['files'])} files, {widest['switches']} switches (largest)")
    if arguments.list:
        print("\n".join(f"  {name}" for name in sorted(files)))


if __name__ == "__main__":
    main()
