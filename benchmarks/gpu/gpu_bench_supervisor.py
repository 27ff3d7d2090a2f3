"""Which process measures what next, given what is on disk.

Knows the parts, their times and in which ways a model can be made. Does not know PyTorch or what is measured: whatever
happens to a process, this one goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_bench_record import GRACE_SECONDS, Found, Record, read, say

# What each part may take before it stops by itself with what it has: together less than the whole.
PARTS = {
    "start": 110,
    "parity": 45,
    "steps": 75,
    "streams": 80,
    "text": 30,
    "kernels": 30,
    "contexts": 20,
    "profile": 30,
    "plain": 25,
    "reference": 50,
}
WITHOUT_MODEL = ("reference",)  # the public package, in a process of its own
MODES = ("recorded", "launched", "plain")  # graphs and kernels, kernels alone, neither
NO_DEVICE = 2
LEAST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process."""

    parts: tuple[str, ...]
    mode: str
    rows: int


def first_attempt(parts: Sequence[str], rows: int) -> Attempt:
    """The best there is."""
    mine = tuple(part for part in PARTS if part in parts and part not in WITHOUT_MODEL)
    return Attempt(mine or tuple(parts), MODES[0], rows)


def next_attempt(last: Attempt, parts: Sequence[str], found: Found) -> Attempt | None:
    """After a process has ended: what is left, or the same with less where the model did not start."""
    alone = tuple(part for part in WITHOUT_MODEL if part in parts and part not in found)
    failed = found.get("start", {}).get("error")
    if failed and last.parts != alone:
        less = _with_less(last, str(failed))
        return less or (replace(last, parts=alone) if alone else None)
    left = tuple(part for part in last.parts if part not in found)
    if left == last.parts:  # it ended before it began
        return replace(last, parts=alone) if alone and alone != last.parts else None
    return replace(last, parts=left or alone) if left or alone else None


def _with_less(last: Attempt, error: str) -> Attempt | None:
    if "out of memory" in error.lower() and last.rows > 1:
        return replace(last, rows=last.rows // 2)
    if last.mode == MODES[-1]:
        return None
    return replace(last, mode=MODES[MODES.index(last.mode) + 1])


def supervise(command: list[str], into: Path, parts: Sequence[str], rows: int, seconds: float) -> float:
    """Start processes until all is found, nothing more can be, or the time is over; returns the seconds it took."""
    began = time.monotonic()
    attempt: Attempt | None = first_attempt(parts, rows)
    while attempt is not None:
        left = began + seconds - time.monotonic()
        if left < LEAST_SECONDS:
            say(f"no time left for {', '.join(attempt.parts)}")
            break
        status = _ended(command, attempt, left)
        if status == NO_DEVICE:
            break
        record = Record(into)
        _settle(record, attempt, status)
        attempt = next_attempt(attempt, parts, record.values)
        if attempt is not None and "error" in record.values.get("start", {}) and "start" in attempt.parts:
            record.values.setdefault("failed_starts", []).append(record.values.pop("start"))
            record.save("failed_starts", record.values["failed_starts"])
    if read(into):
        Record(into).save("seconds", round(time.monotonic() - began, 1))
    return time.monotonic() - began


def _ended(command: list[str], attempt: Attempt, seconds: float) -> int:
    """Run one process to its end, or to the end of the time there is."""
    more = [f"--parts={','.join(attempt.parts)}", f"--mode={attempt.mode}", f"--rows={attempt.rows}"]
    say(f"\n-- {', '.join(attempt.parts)}: {attempt.mode}, up to {attempt.rows} rows, {seconds:.0f} s left")
    process = subprocess.Popen([*command, *more, f"--seconds={seconds:.1f}"], start_new_session=True)
    try:
        return process.wait(timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        say("the time is over")
        return -signal.SIGKILL
    finally:
        if process.poll() is None:  # it is stuck, or somebody has interrupted us
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _settle(record: Record, attempt: Attempt, status: int) -> None:
    """A part that was being measured when its process ended has ended with it."""
    for part in attempt.parts:
        found = record.values.get(part, {})
        if found.get("running"):
            record.save(part, {**found, "running": False, "error": f"its process ended with status {status}"})
