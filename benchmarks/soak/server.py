"""The real server on a tiny checkpoint, and what can be seen of it from outside.

Knows: how it is started and ended, its two processes, its memory and its sockets.
Does not know: who asks it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange import ViolationError

TOKEN = "soak"  # noqa: S105 - of a server that nobody else reaches
SETTLE_SECONDS, GIVE_BACK_SECONDS = 60.0, 1.0
TRIMMING = Path(__file__).with_name("trimming")
PROCESSES = ("http", "engine")
# The CPU's codec has its kernels compiled once per number of rows, 4.5 MiB each: with 16 rows, not 32, all of them are
# there before memory is judged. The server's 160 places stay 160.
ROWS, QUEUED = 16, 144


@dataclass(frozen=True, slots=True)
class Server:
    """The two processes."""

    process: subprocess.Popen[bytes]
    port: int
    internal_port: int

    def load(self) -> dict[str, Any]:
        """What it says about itself."""
        url = f"http://127.0.0.1:{self.internal_port}/internal/load"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, as written above
            return dict(json.load(answer))

    def pids(self) -> list[int]:
        """HTTP side and engine."""
        pid = self.process.pid
        children = (each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children"))
        return [pid, *(int(child) for each in children for child in each)]

    def memory_bytes(self) -> dict[str, int]:
        """Resident memory of each."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return dict(zip(PROCESSES, (each * os.sysconf("SC_PAGE_SIZE") for each in pages), strict=True))

    def give_back(self) -> None:
        """Have both return what their allocators only keep."""
        for pid in self.pids():
            os.kill(pid, signal.SIGUSR1)
        time.sleep(GIVE_BACK_SECONDS)

    def open_files(self) -> int:
        """File descriptors of the HTTP side."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def is_idle(self) -> bool:
        """Whether nothing is left of anybody."""
        load = self.load()
        return not (load["open_requests"] or load["running_sequences"] or load["waiting_sequences"])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start it, and end it."""
    command = [sys.executable, "-m", "voxfleet_inference"]
    subprocess.run([*command, "tiny-checkpoint", str(folder)], check=True, stdout=subprocess.DEVNULL)
    port, metrics_port, internal_port = free_ports()
    flags = {
        "model-path": folder, "device": "cpu", "dtype": "fp32", "cpu-threads": 1, "host": "127.0.0.1", "port": port,
        "metrics-port": metrics_port, "internal-port": internal_port, "slow-client-seconds": 5,
        "internal-token-sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "max-buffered-audio-seconds": 10,
        "max-batch-size": ROWS, "max-queued-requests": QUEUED, "log-level": "error",
    }  # fmt: skip
    given = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    paths = [str(TRIMMING), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen([*command, "serve", *given], env=environment)
    try:
        yield Server(process, port, internal_port)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SETTLE_SECONDS)
        process.kill()


def free_ports() -> list[int]:
    """Three of them."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [each.getsockname()[1] for each in sockets]


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait.

    Raises:
        ViolationError: it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise ViolationError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)
