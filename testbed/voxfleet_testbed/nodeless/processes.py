"""Processes of the product, and of programs before it, that a test starts and ends itself.

Does: starts them with a log each, reads the log, ends them.
Knows: the prefix of the product's settings. Does not know: what the processes do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from voxfleet_testbed.errors import ApiError

END_SECONDS = 30.0
WAIT_SECONDS = 90.0  # of a loaded machine; nothing waits for the whole of it


@dataclass
class Process:
    """A process, and where its log is."""

    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(errors="replace")

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the log's JSON lines."""
        for line in self.text().splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait; kill the process when it has not ended in time."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            self.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def start_process(log: Path, command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a program with more variables in its environment; its output goes to the log."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    with log.open("ab") as output:
        return Process(subprocess.Popen(command, env=environment, stdout=output, stderr=output), log)


def start_part(log: Path, module: str, settings: Mapping[str, str]) -> Process:
    """Start a part of the product, `voxfleet_operator` for instance, with settings by their names without prefix."""
    environment = {f"VOXFLEET_{key}": value for key, value in settings.items()}
    return start_process(log, [sys.executable, "-m", module], environment)


def until(is_true: Callable[[], Any], what: str, seen: Callable[[], Any] = str) -> Any:
    """Wait until a function returns something true, and return that; an ApiError counts as not yet."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiError):
            if found := is_true():
                return found
        time.sleep(0.05)
    pytest.fail(f"not within {WAIT_SECONDS} s: {what}; {seen()}")
