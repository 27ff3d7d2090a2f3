"""The real server on a tiny checkpoint: start, stop, load report, memory, open files.

Knows: how the server is started, and its two processes. Does not know: the clients.
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

TOKEN = "soak"  # noqa: S105 - of a server on the loopback interface
SETTLE_SECONDS, TRIM_SECONDS = 60.0, 1.0
MALLOC_TRIM = Path(__file__).with_name("malloc_trim")
PROCESSES = ("http", "engine")
# The CPU's codec compiles its kernels once per batch size, 4.5 MiB each: with 16 rows, not 32, all of them exist before
# memory is checked. The limit of open requests stays 160.
ROWS, QUEUED = 16, 144


@dataclass(frozen=True, slots=True)
class Server:
    """The running server: its HTTP process, whose child is the engine, and its ports."""

    process: subprocess.Popen[bytes]
    port: int
    internal_port: int

    def load(self) -> dict[str, Any]:
        """Return the load report of the internal port."""
        url = f"http://127.0.0.1:{self.internal_port}/internal/load"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, as written above
            return dict(json.load(answer))

    def pids(self) -> list[int]:
        """Return the process ids of HTTP process and engine."""
        pid = self.process.pid
        children = (each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children"))
        return [pid, *(int(child) for each in children for child in each)]

    def memory_bytes(self) -> dict[str, int]:
        """Return the resident memory of each process, by the names of PROCESSES."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return dict(zip(PROCESSES, (each * os.sysconf("SC_PAGE_SIZE") for each in pages), strict=True))

    def trim_memory(self) -> None:
        """Make both processes return their allocators' free memory (malloc_trim/sitecustomize.py)."""
        for pid in self.pids():
            os.kill(pid, signal.SIGUSR1)
        time.sleep(TRIM_SECONDS)  # a signal has no reply

    def open_files(self) -> int:
        """Return the number of file descriptors of the HTTP process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def is_idle(self) -> bool:
        """Return whether no request is open and no sequence is left."""
        load = self.load()
        return not (load["open_requests"] or load["running_sequences"] or load["waiting_sequences"])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start a server with a tiny checkpoint in `folder` for the block; it may not be ready yet."""
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
    paths = [str(MALLOC_TRIM), *filter(None, [os.environ.get("PYTHONPATH")])]
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
    """Return three free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [each.getsockname()[1] for each in sockets]


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a condition holds; an unreachable server does not satisfy it.

    Raises:
        ViolationError: the deadline passed; the message has `what`.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise ViolationError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)
