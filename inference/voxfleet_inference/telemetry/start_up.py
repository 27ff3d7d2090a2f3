"""The parts of a server's start: process, weights, warm-up; and since when it has been ready.

Knows: how the kernel says when a process started. All times are seconds of the monotonic clock, which every process of
a machine shares; what leaves the machine are durations, so no two clocks are compared.
Does not know: what loads or warms up.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/self/stat")
_START_FIELD: Final = 19  # of those behind the command's name, which may contain spaces (proc_pid_stat(5), starttime)
_MOST_PLAUSIBLE_SECONDS: Final = 3600.0  # an older process has not only just started: the file says something else


@dataclass(frozen=True, slots=True)
class StartUp:
    """When each part of the first start ended; the parts follow one another without a gap."""

    process_started_at: float
    load_started_at: float  # Python runs and its packages are imported
    loaded_at: float
    ready_at: float

    def report(self, now: float) -> dict[str, float]:
        """Return the fields of /internal/load that describe the start."""
        return {
            # Where /proc does not say when the process started, its start seems to be later than the engine's.
            "process_seconds": round(max(self.load_started_at - self.process_started_at, 0.0), 3),
            "loaded_seconds": round(self.loaded_at - self.load_started_at, 3),
            "warm_seconds": round(self.ready_at - self.loaded_at, 3),
            "ready_age_seconds": round(now - self.ready_at, 3),
        }


NOT_STARTED: Final = dict.fromkeys(StartUp(0.0, 0.0, 0.0, 0.0).report(0.0))


def process_started_at() -> float:
    """Return when the kernel started this process; now, where /proc does not say."""
    now = time.monotonic()
    try:
        booted_seconds = started_seconds(_STAT.read_text(encoding="utf-8"), os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return now
    age_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - booted_seconds
    return now - age_seconds if 0.0 <= age_seconds < _MOST_PLAUSIBLE_SECONDS else now


def started_seconds(stat: str, ticks_per_second: int) -> float:
    """Return a process's start from the text of its /proc/PID/stat, in seconds since the machine was booted.

    Raises:
        ValueError: the text has another form.
        IndexError: the text is cut.
    """
    _, found, behind_name = stat.rpartition(")")
    if not found:
        raise ValueError("no command's name in parentheses")
    return int(behind_name.split()[_START_FIELD]) / ticks_per_second
