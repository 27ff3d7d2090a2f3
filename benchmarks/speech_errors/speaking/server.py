"""The real server on a checkpoint, for the duration of a measurement.

Knows: how the server is started, and what it reports when it does not start. Does not know: requests.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

START_SECONDS, STOP_SECONDS, POLL_SECONDS = 600.0, 30.0, 0.3  # a busy machine starts slowly
OK = 200
SHOWN_CHARACTERS = 500  # of what a failed server printed
EARLY_RETRY = Path(__file__).with_name("early_retry")


class ServerError(Exception):
    """The server did not start; the message has what it printed last."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server is started with."""

    checkpoint: Path
    dtype: str = "fp32"
    threads: int = 1
    is_deterministic: bool = False
    retries_everything: bool = False  # every attempt counts as a runaway (early_retry/sitecustomize.py)
    flags: Mapping[str, str] = field(default_factory=dict)

    def command(self, ports: list[int], termination_log: Path) -> list[str]:
        """Return the command line."""
        given = {
            "model-path": str(self.checkpoint), "device": "cpu", "dtype": self.dtype, "cpu-threads": str(self.threads),
            "host": "127.0.0.1", "port": str(ports[0]), "metrics-port": str(ports[1]), "internal-port": str(ports[2]),
            "log-level": "error", "termination-log": str(termination_log),
        } | dict(self.flags)  # fmt: skip
        words = [part for name, value in given.items() for part in (f"--{name}", value)]
        deterministic = ["--deterministic"] if self.is_deterministic else []
        return [sys.executable, "-m", "voxfleet_inference", "serve", *words, *deterministic]

    def environment(self) -> dict[str, str]:
        """Return the process's environment."""
        paths = [str(EARLY_RETRY)] if self.retries_everything else []
        paths += filter(None, [os.environ.get("PYTHONPATH")])
        return {**os.environ, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


@dataclass(frozen=True, slots=True)
class Server:
    """A ready server."""

    url: str
    metrics_url: str

    def counter(self, name: str) -> float:
        """Return the sum of a counter over its labels; 0 for one without a value."""
        lines = httpx.get(self.metrics_url, timeout=30).text.splitlines()
        found = (line.rpartition(" ") for line in lines if line.startswith((f"{name} ", f"{name}{{")))
        return sum(float(value) for _, _, value in found)


@contextlib.contextmanager
def serving(settings: ServerSettings) -> Iterator[Server]:
    """Yield a ready server and stop it after the block.

    Raises:
        ServerError: it ended before it was ready, or was not ready in time.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        printed = stack.enter_context((Path(folder) / "stderr").open("w+b"))
        ports = free_ports()
        command = settings.command(ports, Path(folder) / "termination.log")
        process = subprocess.Popen(command, env=settings.environment(), stdout=printed, stderr=printed)
        try:
            server = Server(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/metrics")
            _wait_ready(process, server.url, settings, Path(printed.name))
            yield server
        finally:
            _stop(process)


def _wait_ready(process: subprocess.Popen[bytes], url: str, settings: ServerSettings, printed: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == OK:
                return
        time.sleep(POLL_SECONDS)
    message = printed.read_text(errors="replace").strip()[-SHOWN_CHARACTERS:]
    state = (
        f"is not ready after {START_SECONDS:g} s"
        if process.poll() is None
        else f"ended with exit code {process.returncode}"
    )
    raise ServerError(f"the {settings.dtype} server for {settings.checkpoint} {state}: {message}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    process.kill()
    process.wait()


def free_ports() -> list[int]:
    """Return three free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [each.getsockname()[1] for each in sockets]
