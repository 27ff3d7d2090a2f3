"""The results so far in a file, and the handling of errors and hangs while a part is measured.

Knows: files, deadlines and errors. Does not know: what is measured. Needs nothing but Python.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Results = dict[str, Any]
Measure = Callable[[float], Iterator[Results]]  # takes a deadline; each value it yields has all results so far

GRACE_SECONDS = 20.0  # past its deadline before a part counts as stuck
MAX_CHARACTERS = 300  # of a printed row; the file has all of it
STUCK = 4  # exit status
WORDS_OF_A_DEAD_DEVICE = ("CUDA error", "Triton Error [CUDA]", "cuDNN error", "CUBLAS_STATUS")


class DeadDeviceError(Exception):
    """The device failed in a way that makes every later call fail: a new process has to continue."""


def print_line(line: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def read(path: Path) -> Results:
    """Read a result file; a file that does not exist has no results."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def describe(error: BaseException) -> str:
    """Return an error's type and message in one line."""
    return f"{type(error).__name__}: {error}"


def kills_device(error: BaseException) -> bool:
    """Return whether every later call to the device will fail too; after running out of memory they do not."""
    if type(error).__name__ == "OutOfMemoryError":
        return False
    return type(error).__name__ == "AcceleratorError" or any(words in str(error) for words in WORDS_OF_A_DEAD_DEVICE)


@dataclass
class ResultFile:
    """A JSON file of results, replaced atomically at every change."""

    path: Path
    values: Results = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = read(self.path)

    def save(self, name: str, value: object) -> None:
        """Set one value and write the file."""
        self.values[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def part(self, name: str, measure: Measure, deadline: float) -> None:
        """Measure one part; an error becomes its result.

        Raises:
            DeadDeviceError: the other parts need a new process.
        """
        began, found = time.monotonic(), {}
        print_line(f"\n== {name} ({max(0.0, deadline - began):.0f} s)")
        self.save(name, {"running": True})
        with self._watched(name, deadline + GRACE_SECONDS):
            try:
                for found in measure(deadline):
                    self.save(name, found | {"running": True})
            except Exception as error:
                print_line(traceback.format_exc())
                self._end(name, found | {"error": describe(error)}, began)
                if kills_device(error):
                    raise DeadDeviceError(name) from error
                return
        self._end(name, found, began)

    def _end(self, name: str, found: Results, began: float) -> None:
        self.save(name, found | {"part_seconds": round(time.monotonic() - began, 1)})

    @contextmanager
    def _watched(self, name: str, limit: float) -> Iterator[None]:
        """Exit the process if the part does not end: nothing else ends a call that waits for the device."""

        def give_up() -> None:
            self.save(name, self.values[name] | {"running": False, "error": "stuck: the process has exited"})
            print_line(f"{name} is stuck: a new process continues with the next part")
            os._exit(STUCK)

        timer = threading.Timer(max(0.0, limit - time.monotonic()), give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def for_each(
    key: str,
    sizes: Sequence[int],
    deadline: float,
    measure: Callable[[int], Results],
    after_error: Callable[[], object],
) -> Iterator[Results]:
    """Measure each size and yield the rows so far; a failed size becomes a row with its error."""
    rows: list[Results] = []
    for size in sizes:
        if time.monotonic() > deadline:
            yield {"rows": rows, "stopped_for_time": True}
            return
        try:
            rows.append({key: size} | measure(size))
        except Exception as error:
            rows.append({key: size, "error": describe(error)})
            if kills_device(error):
                yield {"rows": rows}
                raise
            after_error()
        print_line(str(rows[-1])[:MAX_CHARACTERS])
        yield {"rows": rows}
