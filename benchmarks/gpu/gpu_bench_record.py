"""What was found so far, on disk; and what is in the way of one part's finding anything more.

Knows files, deadlines and errors. Does not know what is measured. Needs nothing but Python.
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

Found = dict[str, Any]
Measure = Callable[[float], Iterator[Found]]  # until a deadline; whatever it yields is all that it found so far

GRACE_SECONDS = 20.0  # beyond its deadline a part is stuck
MOST_CHARACTERS = 300  # of a row, for people; the file has all of it
STUCK = 4  # exit status
WORDS_OF_A_DEAD_DEVICE = ("CUDA error", "Triton Error [CUDA]", "cuDNN error", "CUBLAS_STATUS")


class DeadDeviceError(Exception):
    """After this every later call fails too: a new process has to go on."""


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def read(path: Path) -> Found:
    """What lies there; nothing if nothing does."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def told(error: BaseException) -> str:
    """In one line."""
    return f"{type(error).__name__}: {error}"


def kills_device(error: BaseException) -> bool:
    """Whether the device is of no use to this process any more; memory that ran out is no such thing."""
    if type(error).__name__ == "OutOfMemoryError":
        return False
    return type(error).__name__ == "AcceleratorError" or any(words in str(error) for words in WORDS_OF_A_DEAD_DEVICE)


@dataclass
class Record:
    """What was found so far, on disk."""

    path: Path
    values: Found = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = read(self.path)

    def save(self, name: str, value: object) -> None:
        """Keep one more thing."""
        self.values[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def part(self, name: str, measure: Measure, deadline: float) -> None:
        """Measure one part; whatever goes wrong is a result too.

        Raises:
            DeadDeviceError: the other parts need another process.
        """
        began, found = time.monotonic(), {}
        say(f"\n== {name} ({max(0.0, deadline - began):.0f} s)")
        self.save(name, {"running": True})
        with self._watched(name, deadline + GRACE_SECONDS):
            try:
                for found in measure(deadline):
                    self.save(name, found | {"running": True})
            except Exception as error:
                say(traceback.format_exc())
                self._end(name, found | {"error": told(error)}, began)
                if kills_device(error):
                    raise DeadDeviceError(name) from error
                return
        self._end(name, found, began)

    def _end(self, name: str, found: Found, began: float) -> None:
        self.save(name, found | {"part_seconds": round(time.monotonic() - began, 1)})

    @contextmanager
    def _watched(self, name: str, limit: float) -> Iterator[None]:
        """End the process where a part does not end: nothing else ends a call that waits for the device."""

        def give_up() -> None:
            self.save(name, self.values[name] | {"running": False, "error": "stuck: the process was ended"})
            say(f"{name} is stuck: a new process goes on with the next part")
            os._exit(STUCK)

        timer = threading.Timer(max(0.0, limit - time.monotonic()), give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def for_each(
    key: str, sizes: Sequence[int], deadline: float, measure: Callable[[int], Found], after_error: Callable[[], object]
) -> Iterator[Found]:
    """What is found for each size, as it is found; one that fails does not cost the others."""
    rows: list[Found] = []
    for size in sizes:
        if time.monotonic() > deadline:
            yield {"rows": rows, "stopped_for_time": True}
            return
        try:
            rows.append({key: size} | measure(size))
        except Exception as error:
            rows.append({key: size, "error": told(error)})
            if kills_device(error):
                yield {"rows": rows}
                raise
            after_error()
        say(str(rows[-1])[:MOST_CHARACTERS])
        yield {"rows": rows}
