"""The real server with the stub engine of benchmarks/http_streams: audio at once, in real time, without a model.

Knows: how it is started and stopped. Does not know: what is measured.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

_STREAMS: Final = Path(__file__).parents[1] / "http_streams"


@contextmanager
def stub_server() -> Iterator[tuple[str, int]]:
    """Start the server; yield its URL and process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = f"import sys; sys.path.insert(0, {str(_STREAMS)!r}); from sides import run_server; run_server({port})"
    process = subprocess.Popen([sys.executable, "-c", code])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for_ready(url)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _wait_for_ready(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(url + "/health").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the server is not ready")
